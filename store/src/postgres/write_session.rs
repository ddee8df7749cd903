//! The connection of a writer, and a cache of the day tables, sensors and configurations in its
//! database.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use thicket_schema::PartitionId;

use super::batch::CommitBatch;
use super::bisect::{Unstorable, find_unstorable, is_missing_day};
use super::commit::apply;
use super::connection::connect_postgres;
use super::day_tables::{day_of, ensure_days};
use super::pending_writes::{CommitReport, StoredReferences};
use super::quarantine::{QuarantineEntry, QuarantineReason, quarantine};
use super::server::PostgresServer;

/// How long PostgreSQL waits for the next statement of a transaction. It is shorter than the
/// default of a lease.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// How many day tables are created in advance.
const DAYS_AHEAD: i32 = 2;

/// Upper bound of the cached pairs of sensor and field set. A sensor with ever new fields would let
/// the cache grow.
const MAX_STORED_SENSORS: usize = 1_000_000;

/// A session that commits batches. It connects at the first commit. After an error, start a new
/// session: the connection may be broken, and the cache may be outdated.
#[derive(Default)]
pub struct WriteSession {
    connection: Option<AsyncPgConnection>,
    /// The days whose tables exist.
    days: BTreeSet<i32>,
    stored: StoredReferences,
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The connection failed.
    #[error("{0}")]
    Connect(#[from] diesel::ConnectionError),
    /// PostgreSQL rejects a statement, or does not answer.
    #[error("{0}")]
    Database(#[from] DatabaseError),
}

impl WriteSession {
    /// Finds the rows that made PostgreSQL reject the batches, quarantines their readings, and
    /// returns their partitions. Returns no partition if no row is to blame.
    pub async fn quarantine_unstorable(
        &mut self,
        error: &WriteError,
        batches: &[&CommitBatch],
    ) -> BTreeSet<PartitionId> {
        let mut partitions = BTreeSet::new();
        let (WriteError::Database(error @ DatabaseError::DatabaseError(..)), Some(connection)) =
            (error, self.connection.as_mut())
        else {
            return partitions;
        };
        // Retention has dropped a day table that is in the cache. A new session creates it again.
        if is_missing_day(error) {
            return partitions;
        }
        let Ok(found) = find_unstorable(connection, batches).await else { return partitions };
        for unstorable in found {
            let Some(entry) = quarantine_entry(batches[unstorable.batch], unstorable) else { continue };
            tracing::error!(sensor = %entry.sensor, ts = %entry.ts, position = %entry.position, reason = entry.detail, "postgresql rejects a reading; it becomes a dead letter");
            // If another owner has claimed the partition, no entry is written. The partition is
            // reopened anyway.
            match quarantine(connection, &entry).await {
                Ok(_) => drop(partitions.insert(entry.partition)),
                Err(error) => tracing::warn!(%error, "cannot quarantine the reading"),
            }
        }
        partitions
    }

    /// Commits batches in one transaction. Before that, creates the day tables that are missing.
    pub async fn commit(
        &mut self,
        server: impl Into<PostgresServer>,
        batches: &[&CommitBatch],
    ) -> Result<CommitReport, WriteError> {
        if self.connection.is_none() {
            self.connection = Some(connect_to_write(server.into()).await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(CommitReport::default()) };
        let days = batches.iter().flat_map(|batch| {
            let rows = batch.rows.iter().map(|logged| logged.row.ts);
            rows.chain(batch.late.iter().map(|late| late.reading.ts)).map(day_of)
        });
        let mut missing: BTreeSet<i32> = days.filter(|day| !self.days.contains(day)).collect();
        if let Some(&newest) = missing.last() {
            missing.extend(newest + 1..=newest + DAYS_AHEAD);
            let missing: Vec<i32> = missing.into_iter().collect();
            ensure_days(connection, &missing).await?;
            self.days.extend(missing);
        }
        let report = apply(connection, batches, &self.stored).await?;
        if self.stored.sensors.len() > MAX_STORED_SENSORS {
            self.stored.sensors.clear();
        }
        self.stored.sensors.extend(&report.written.sensors);
        self.stored.configs.extend(&report.written.configs);
        Ok(report)
    }
}

/// Returns the quarantine entry of a row that PostgreSQL rejects.
fn quarantine_entry(batch: &CommitBatch, unstorable: Unstorable) -> Option<QuarantineEntry> {
    let Unstorable { row, detail, .. } = unstorable;
    let sensor = batch.sensors.iter().map(|seen| &seen.sensor).find(|name| name.id().0 == row.row.sensor)?;
    Some(QuarantineEntry {
        partition: batch.partition,
        epoch: batch.epoch,
        position: row.position,
        reason: QuarantineReason::Unstorable,
        sensor: sensor.clone(),
        ts: row.row.ts,
        detail,
    })
}

/// Connects with a timeout for idle transactions. Otherwise a node that hangs could keep its locks,
/// and no other node could claim its partitions.
async fn connect_to_write(server: PostgresServer) -> Result<AsyncPgConnection, WriteError> {
    let mut connection = connect_postgres(server).await?;
    let timeout = format!("SET idle_in_transaction_session_timeout = {}", IDLE_IN_TRANSACTION.as_millis());
    connection.batch_execute(&timeout).await?;
    Ok(connection)
}
