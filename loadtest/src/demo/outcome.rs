//! The reckoning: every row against what was published.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use thicket_compose::Servers;
use thicket_loadtest::verify::{Latency, Performance, Report, VerifyOptions, verify};

use crate::scrape::Samples;

/// How long rows may still be on their way when the comparison begins.
const WAIT: Duration = Duration::from_secs(20);

/// Readings that have an outcome, as the engine counts them.
pub(super) fn dealt_with(samples: &Samples) -> u64 {
    let outcomes = [
        "thicket_readings_stored_total",
        "thicket_readings_late_total",
        "thicket_readings_duplicate_total",
        "thicket_readings_poison_total",
        "thicket_dead_letters_total",
    ];
    outcomes.iter().map(|metric| samples.sum(metric)).sum::<f64>() as u64
}

/// Compares the ledger of the replay with the tables.
pub(super) async fn reckon(
    ledger: &Path,
    servers: &Servers,
    samples: &Samples,
    rate: f64,
) -> anyhow::Result<Report> {
    let options =
        VerifyOptions { ledgers: vec![ledger.to_owned()], database: servers.postgres.url(), wait: WAIT };
    let milliseconds =
        |quantile| samples.quantile("thicket_latency_seconds", quantile).map(|seconds| seconds * 1e3);
    let performance = Performance {
        readings_per_second: Some(rate),
        latency_ms: Latency { p50: milliseconds(0.5), p99: milliseconds(0.99) },
    };
    let verification = verify(&options, Some(performance)).await.context("the rows cannot be compared")?;
    for loss in &verification.losses {
        eprintln!("  lost: {loss}");
    }
    Ok(verification.report)
}
