//! Compares what was published with what is stored: identities and values, not counts.
//!
//! - `published`: the ledgers, first as a summary, then sensor by sensor
//! - `readings`: one sensor's published readings against its rows
//! - `letters`: what became a dead letter is not lost
//! - [`events`]: injected events against the rows of `anomalies`
//! - [`metrics`]: latency, from the engine's own histogram
//! - [`report`]: the outcome, as the JSON object that `make demo` prints
//!
//! The ledgers may be larger than memory: their readings are loaded for a group of sensors at a time, and the rows are
//! streamed.

pub mod events;
mod letters;
pub mod metrics;
mod published;
mod readings;
pub mod report;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub use published::LedgerSummary;
use published::Published;
pub use report::{Anomalies, Latency, Performance, Report};

use crate::{
    database::{Database, DatabaseError},
    ledger::LedgerError,
};

/// What is compared.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// What was published: one or several ledgers.
    pub ledgers: Vec<PathBuf>,
    /// What is stored: `postgres://user:password@host:port/database`.
    pub database: String,
    /// How long to wait until everything is stored.
    pub wait: Duration,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The published side.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The stored side.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The outcome of a comparison.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The JSON object.
    pub report: Report,
    /// The first losses, in words.
    pub losses: Vec<String>,
    /// Ledgers that end within a record: their writer was killed. What was confirmed after that record is not compared.
    pub torn: Vec<PathBuf>,
}

/// Compares, and waits while something is missing and time is left.
///
/// `performance` is what the caller measured; without it the report has the mean rate between the first and the last
/// confirmation in the ledgers, and no latency.
pub async fn verify(
    options: &VerifyOptions,
    performance: Option<Performance>,
) -> Result<Verification, VerifyError> {
    let published = Published::scan(&options.ledgers)?;
    let mut database = Database::connect(&options.database).await?;
    let deadline = Instant::now() + options.wait;
    let mut compared_at = None;
    loop {
        let stored = count_stored(&published, &mut database).await?;
        let late = Instant::now() >= deadline;
        // Readings that became dead letters never add to the count: compare as well when it has come to rest.
        if late || stored >= published.identities || compared_at != Some(stored) {
            let verification = compare(&published, &mut database, performance).await?;
            if late || verification.report.lost == 0 {
                return Ok(verification);
            }
            compared_at = Some(stored);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn count_stored(published: &Published, database: &mut Database) -> Result<u64, DatabaseError> {
    let Some(span) = published.span() else { return Ok(0) };
    let known = database.sensors().await?;
    let ids: Vec<i64> = published.sensors.keys().filter_map(|name| known.get(name).copied()).collect();
    database.count_readings(&ids, span).await
}

async fn compare(
    published: &Published,
    database: &mut Database,
    performance: Option<Performance>,
) -> Result<Verification, VerifyError> {
    database.freeze().await?;
    let mut losses = Losses::default();
    let stored = readings::compare(published, database, &mut losses).await?;
    letters::compare(published, database, &mut losses).await?;
    let anomalies = events::compare(published, database).await?;
    let ledger = database.ledger().await?;
    database.thaw().await?;

    let performance = performance.unwrap_or_else(|| Performance {
        readings_per_second: published.readings_per_second(),
        latency_ms: Latency::default(),
    });
    let report = Report {
        published: published.publications,
        stored,
        duplicates: ledger.duplicates,
        late: ledger.late,
        dead_letters: ledger.dead_letters,
        lost: losses.count,
        anomalies,
        readings_per_second: performance.readings_per_second.map(|rate| (rate * 10.0).round() / 10.0),
        latency_ms: performance.latency_ms.rounded(),
    };
    Ok(Verification { report, losses: losses.examples, torn: published.torn.clone() })
}

/// Counts what is lost and remembers the first cases.
#[derive(Default)]
struct Losses {
    count: u64,
    examples: Vec<String>,
}

impl Losses {
    fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 && self.examples.len() < 10 {
            self.examples.push(example());
        }
    }
}
