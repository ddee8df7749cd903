//! Compares the manifest of a replay with PostgreSQL: identities and values, not counts.
//!
//! - `published`: reads the manifests, first as a summary, then sensor by sensor
//! - `readings`: compares a sensor's published readings with its rows
//! - `dead_letters`: checks that malformed messages became dead letters
//! - [`events`]: compares injected events with the rows of `anomalies`
//! - [`metrics`]: reads the latency from the engine's histogram
//! - [`report`]: the report, which `make demo` prints as JSON
//! - `losses`: the publications that are lost or only dead letters, and the rows without one
//! - [`error`]: why nothing could be compared
//!
//! The manifests may be larger than memory. Their readings are loaded for one group of sensors at a
//! time, and the rows are streamed.

mod dead_letters;
pub mod error;
pub mod events;
mod losses;
pub mod metrics;
mod published;
mod readings;
pub mod report;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use thicket_store::postgres::{SnapshotError, SnapshotReader};

pub use error::VerifyError;
use losses::Losses;
pub use published::ManifestSummary;
use published::Published;
pub use report::{Anomalies, Latency, Performance, Report};

/// The time between two looks at the number of rows.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What to compare.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// One or several manifests.
    pub manifests: Vec<PathBuf>,
    /// The database: `postgres://user:password@host:port/database`.
    pub database: String,
    /// The longest time to wait until everything is stored.
    pub wait: Duration,
}

/// The result of a comparison.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The report, which is printed as JSON.
    pub report: Report,
    /// A text about each of the first losses.
    pub losses: Vec<String>,
    /// A text about each of the first rows that equal no publication.
    pub unexpected: Vec<String>,
    /// The manifests that end within a record because their writer was killed. Messages that were
    /// confirmed later are not compared.
    pub torn: Vec<PathBuf>,
}

/// Compares, and repeats the comparison while something is lost and time is left.
///
/// `performance` holds the caller's measurements. Without it the report has the mean rate between
/// the first and the last confirmation in the manifests, and no latency.
pub async fn verify(
    options: &VerifyOptions,
    performance: Option<Performance>,
) -> Result<Verification, VerifyError> {
    let published = Published::scan(&options.manifests)?;
    let mut database = SnapshotReader::connect(&options.database).await?;
    let deadline = Instant::now() + options.wait;
    let mut compared_at = None;
    loop {
        let stored = count_stored(&published, &mut database).await?;
        let time_is_up = Instant::now() >= deadline;
        // Readings that became dead letters have no row. So compare also when the number of rows
        // changed; an unchanged number would give the same result.
        if time_is_up || stored >= published.identities || compared_at != Some(stored) {
            let verification = compare(&published, &mut database, performance).await?;
            if time_is_up || verification.report.lost == 0 {
                return Ok(verification);
            }
            compared_at = Some(stored);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn count_stored(published: &Published, database: &mut SnapshotReader) -> Result<u64, SnapshotError> {
    let Some(span) = published.span() else { return Ok(0) };
    let known = database.sensor_ids().await?;
    let ids: Vec<i64> = published.sensors.keys().filter_map(|name| known.get(name).copied()).collect();
    database.count_readings(&ids, span).await
}

async fn compare(
    published: &Published,
    database: &mut SnapshotReader,
    performance: Option<Performance>,
) -> Result<Verification, VerifyError> {
    database.freeze().await?;
    let mut losses = Losses::default();
    let stored = readings::compare(published, database, &mut losses).await?;
    dead_letters::compare(published, database, &mut losses).await?;
    let anomalies = events::compare(published, database).await?;
    let ledger = database.ledger().await?;
    database.thaw().await?;

    let performance = performance.unwrap_or_else(|| Performance {
        readings_per_second: published.readings_per_second(),
        latency_ms: Latency::default(),
    });
    if !published.torn.is_empty() {
        (losses.unexpected, losses.unexpected_examples) = (0, Vec::new());
    }
    let report = Report {
        published: published.publications,
        stored,
        duplicates: ledger.duplicates.cast_unsigned(),
        late: ledger.late.cast_unsigned(),
        dead_letters: ledger.dead_letters.cast_unsigned(),
        lost: losses.count,
        only_dead_letters: losses.only_dead_letters,
        unexpected: losses.unexpected,
        anomalies,
        readings_per_second: performance.readings_per_second.map(|rate| (rate * 10.0).round() / 10.0),
        latency_ms: performance.latency_ms.rounded(),
    };
    let Losses { examples, unexpected_examples, .. } = losses;
    Ok(Verification {
        report,
        losses: examples,
        unexpected: unexpected_examples,
        torn: published.torn.clone(),
    })
}
