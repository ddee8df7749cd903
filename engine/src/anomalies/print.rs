//! Prints anomalies for people.

use thicket_store::postgres::Anomaly;

use crate::format::{self, count};
use crate::terminal::{on_one_line, outln};
use crate::time_arg;

/// Causes of an anomaly that a listing shows.
const CAUSES_SHOWN: usize = 3;

/// Prints a list of anomalies with their causes.
pub(super) fn print_list(found: &[Anomaly]) {
    if found.is_empty() {
        outln!("no anomalies");
    }
    for anomaly in found {
        outln!("{}", headline(anomaly));
        for cause in anomaly.causes.iter().filter(|cause| cause.share > 0.0).take(CAUSES_SHOWN) {
            outln!("    {:>3.0} %  {}", cause.share * 100.0, format::cause(cause));
        }
    }
}

/// Prints one anomaly.
pub(super) fn print_one(anomaly: &Anomaly) {
    outln!("{}", headline(anomaly));
}

fn headline(anomaly: &Anomaly) -> String {
    let end = match anomaly.ended {
        Some(ended) if anomaly.accepted => format!("until {}, when it became normal", time_arg::show(ended)),
        Some(ended) => format!("until {}", time_arg::show(ended)),
        None => "and goes on".to_owned(),
    };
    let label = anomaly.label.as_ref().map_or_else(String::new, |set| {
        let by =
            if set.author.is_empty() { String::new() } else { format!(" by {}", on_one_line(&set.author)) };
        let note = if set.note.is_empty() { String::new() } else { format!(": {}", on_one_line(&set.note)) };
        format!("  [{}{by}{note}]", set.label.name())
    });
    format!(
        "{}  {}  grade {:.3}, {} {end}{label}",
        time_arg::show(anomaly.started),
        on_one_line(&anomaly.sensor),
        anomaly.peak_grade,
        count(anomaly.readings, "reading")
    )
}
