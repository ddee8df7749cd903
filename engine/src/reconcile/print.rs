//! The report of `thicket reconcile` for people.

use super::checks::{Check, Report};

/// Maximum number of differences of a check that are shown. The JSON has all.
const SHOWN: usize = 20;

/// Prints a report.
pub(super) fn print(report: &Report) {
    let since = report.since.as_ref().map_or_else(String::new, |since| format!(", rows since {since}"));
    println!("as of {}{since}", report.at);
    for Check { name, compared, differences } in &report.checks {
        println!("{}  {name:<12}  {compared}", if differences.is_empty() { "ok  " } else { "FAIL" });
        for difference in differences.iter().take(SHOWN) {
            println!("                    {difference}");
        }
        if differences.len() > SHOWN {
            println!("                    and {} more; --json has all", differences.len() - SHOWN);
        }
    }
    for loss in &report.losses {
        println!("LOST  log           {}", loss.words());
    }
    let failed = report.checks.iter().filter(|check| !check.differences.is_empty()).count();
    println!();
    match failed {
        0 => println!("everything balances"),
        failed => println!("{failed} of {} checks fail", report.checks.len()),
    }
}
