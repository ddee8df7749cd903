//! The result of a backtest for people.

use super::report::{Cost, Example, Labels, Quality, Report, SensorReport, Totals};
use crate::format::{self, bytes, count};
use crate::terminal::{out, outln};
use crate::time_arg;

/// Maximum number of sensors that are shown, those with the most changes first.
const SENSORS: usize = 40;
/// Maximum number of causes of an alarm that are shown.
const CAUSES: usize = 2;

/// Prints a report.
pub(super) fn print(report: &Report) {
    print_sensors(report);
    let Totals { readings, warm_up_readings, unscored, rejected, late, late_scored, .. } = report.totals;
    let Totals { old, new, kept, gained, lost, .. } = report.totals;
    out!("\n{} of {}", count(readings, "reading"), count(report.sensors.len() as u64, "sensor"));
    for (readings, words) in [
        (late_scored, "of them stored late, without a score"),
        (warm_up_readings, "before them to warm up"),
        (unscored, "without a scored field"),
        (rejected, "rejected by the detector"),
        (late, "skipped: not newer than the one before"),
    ] {
        if readings > 0 {
            out!(", {readings} {words}");
        }
    }
    match old {
        Some(old) => outln!(
            "\nalarms     {old} stored, {new} with the new configuration: {kept} kept, {lost} lost, {gained} gained"
        ),
        None => outln!("\nalarms     {new}"),
    }
    let Cost { cpu_micros_per_reading, memory_bytes_per_sensor, memory_bytes } = report.cost;
    outln!(
        "cost       {cpu_micros_per_reading:.1} µs of CPU a reading, {} a sensor, {} together",
        bytes(memory_bytes_per_sensor),
        bytes(memory_bytes as f64)
    );
    if let Some(labels) = &report.labels {
        print_labels(labels);
    } else if old.is_some() {
        outln!("labels     none: `thicket anomalies label` says which alarms are real");
    }
    let gained = if old.is_some() { "gained, the most severe first" } else { "found" };
    print_examples(gained, &report.gained);
    print_examples("lost, the most severe first", &report.lost);
}

fn print_sensors(report: &Report) {
    let mut sensors: Vec<&SensorReport> = report.sensors.iter().collect();
    sensors.sort_by_key(|sensor| std::cmp::Reverse(sensor.totals.gained + sensor.totals.lost));
    let width = sensors.iter().map(|sensor| sensor.sensor.chars().count()).max().unwrap_or(0).max(6);
    outln!(
        "{:<width$} {:>10} {:>7} {:>6} {:>6} {:>7} {:>6} {:>10} {:>9}",
        "sensor",
        "readings",
        "stored",
        "new",
        "kept",
        "gained",
        "lost",
        "µs/reading",
        "memory"
    );
    for SensorReport { sensor, totals, cost } in sensors.iter().take(SENSORS) {
        let old = totals.old.map_or_else(|| "-".to_owned(), |old| old.to_string());
        outln!(
            "{sensor:<width$} {:>10} {old:>7} {:>6} {:>6} {:>7} {:>6} {:>10.1} {:>9}",
            totals.readings,
            totals.new,
            totals.kept,
            totals.gained,
            totals.lost,
            cost.cpu_micros_per_reading,
            bytes(cost.memory_bytes as f64)
        );
    }
    if sensors.len() > SENSORS {
        outln!("… and {} more, with fewer changes; --json has all", sensors.len() - SENSORS);
    }
}

fn print_labels(labels: &Labels) {
    let percent =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0));
    for (name, Quality { counts, precision, recall }) in [("stored", &labels.old), ("new", &labels.new)] {
        outln!(
            "{:<10} precision {} ({}, {}, {} unlabelled), recall {} ({} of {} real anomalies)",
            name,
            percent(*precision),
            count(counts.true_positives as u64, "true positive"),
            count(counts.false_positives as u64, "false positive"),
            counts.unlabelled,
            percent(*recall),
            counts.detected,
            counts.detected + counts.undetected
        );
    }
    outln!(
        "           Only stored alarms have labels, so their recall is always 100 %: compare precision, and the new recall with 100 %."
    );
}

fn print_examples(title: &str, examples: &[Example]) {
    if examples.is_empty() {
        return;
    }
    outln!("\n{title}:");
    for Example { sensor, alarm } in examples {
        let end = alarm
            .ended
            .map_or_else(|| "and goes on".to_owned(), |ended| format!("until {}", time_arg::show(ended)));
        outln!(
            "  {}  {sensor}  grade {:.3}, {} {end}",
            time_arg::show(alarm.started),
            alarm.peak_grade,
            count(alarm.readings, "reading")
        );
        if alarm.late_readings > 0 {
            outln!("      {} stored late, without a score", count(alarm.late_readings, "reading"));
        }
        for cause in alarm.causes.iter().filter(|cause| cause.share > 0.0).take(CAUSES) {
            outln!("      {:>3.0} %  {}", cause.share * 100.0, format::cause(cause));
        }
    }
}
