//! The outcome of the demo: every row compared with what was published.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use thicket_compose::Servers;

use crate::{
    metrics_page::MetricsPage,
    verify::{self, Performance, Report, VerifyOptions, metrics::latency_of},
};

/// How long to wait for rows that are not stored yet when the comparison begins.
const WAIT: Duration = Duration::from_secs(20);

/// Returns the number of readings that have an outcome, as the engine counts them.
pub(super) fn readings_done(metrics: &MetricsPage) -> u64 {
    let outcomes = [
        "thicket_readings_stored_total",
        "thicket_readings_late_total",
        "thicket_readings_duplicate_total",
        "thicket_readings_poison_total",
        "thicket_dead_letters_total",
    ];
    outcomes.iter().map(|metric| metrics.sum(metric)).sum::<f64>() as u64
}

/// Compares the manifest of the replay with the tables. `rate` is the measured number of readings
/// per second. Prints the first losses to standard error.
pub(super) async fn compare(
    manifest: &Path,
    servers: &Servers,
    metrics: &MetricsPage,
    rate: f64,
) -> anyhow::Result<Report> {
    let options =
        VerifyOptions { manifests: vec![manifest.to_owned()], database: servers.postgres.url(), wait: WAIT };
    let performance = Performance { readings_per_second: Some(rate), latency_ms: latency_of(metrics) };
    let verification =
        verify::verify(&options, Some(performance)).await.context("the rows cannot be compared")?;
    for loss in &verification.losses {
        eprintln!("  lost: {loss}");
    }
    for row in &verification.unexpected {
        eprintln!("  unexpected: {row} has a row that was not published");
    }
    let refused = verification.report.only_dead_letters;
    if refused > 0 {
        eprintln!("  refused: {refused} readings are only dead letters");
    }
    Ok(verification.report)
}
