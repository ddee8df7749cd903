//! The report of `thicket reconcile` for people.

use super::checks::{Check, Report};
use crate::terminal::outln;

/// Maximum number of differences of a check that are shown. The JSON has all.
const SHOWN: usize = 20;

/// Prints a report.
pub(super) fn print(report: &Report) {
    let since = report.since.as_ref().map_or_else(String::new, |since| format!(", rows since {since}"));
    outln!("as of {}{since}", report.at);
    for Check { name, compared, differences } in &report.checks {
        outln!("{}  {name:<12}  {compared}", if differences.is_empty() { "ok  " } else { "FAIL" });
        for difference in differences.iter().take(SHOWN) {
            outln!("                    {difference}");
        }
        if differences.len() > SHOWN {
            outln!("                    and {} more; --json has all", differences.len() - SHOWN);
        }
    }
    for loss in &report.losses {
        outln!("LOST  log           {}", loss.words());
    }
    let failed = report.checks.iter().filter(|check| !check.differences.is_empty()).count();
    outln!();
    match failed {
        0 => outln!("everything balances"),
        failed => outln!("{failed} of {} checks fail", report.checks.len()),
    }
}
