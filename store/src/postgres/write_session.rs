//! The connection of a writer, and a cache of the day tables, sensors and configurations in its
//! database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

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

/// How long PostgreSQL waits for the next statement of a transaction, if the lease of partitions is
/// the default one or shorter.
const SHORTEST_IDLE: Duration = Duration::from_secs(3);
/// How long a statement may take, unless [`WriteSession::set_limit`] says otherwise.
const DEFAULT_LIMIT: Duration = Duration::from_secs(15);
/// How much longer than one statement the whole transaction may take.
const GRACE: Duration = Duration::from_secs(5);
/// How many day tables are created in advance.
const DAYS_AHEAD: i32 = 2;
/// Maximum number of day tables that one statement creates. A statement that exceeds its limit
/// creates none, so each of them must be short.
const DAYS_PER_STATEMENT: usize = 32;

/// Upper bound of the cached pairs of sensor and field set. A sensor with ever new fields would let
/// the cache grow.
const MAX_STORED_SENSORS: usize = 1_000_000;

/// A session that commits batches. It connects at the first commit. After an error, start a new
/// session: the connection may be broken, and the cache may be outdated.
pub struct WriteSession {
    connection: Option<AsyncPgConnection>,
    limit: Duration,
    /// How long PostgreSQL waits for the next statement of a transaction.
    idle: Duration,
    /// The days whose tables exist.
    days: BTreeSet<i32>,
    stored: StoredReferences,
    /// The newest day of a committed row.
    newest_day: Option<i32>,
    /// The epoch of the last commit of each partition.
    epochs: BTreeMap<PartitionId, i64>,
}

impl Default for WriteSession {
    fn default() -> Self {
        Self {
            connection: None,
            limit: DEFAULT_LIMIT,
            idle: SHORTEST_IDLE,
            days: BTreeSet::new(),
            stored: StoredReferences::default(),
            newest_day: None,
            epochs: BTreeMap::new(),
        }
    }
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
    /// The transaction took too long: PostgreSQL or this side has ended it. It may be committed.
    #[error("no commit within {} s", .0.as_secs())]
    Slow(Duration),
}

/// Returns how long PostgreSQL waits for the next statement of a transaction: three quarters of the
/// lease of partitions, at least 3 seconds. The locks of a node that hangs are free before its lease
/// ends, and a node that is only busy keeps its transaction as long as nobody waits for it.
fn idle_limit(lease: Duration) -> Duration {
    (lease / 4 * 3).max(SHORTEST_IDLE)
}

impl WriteSession {
    /// Creates a session for a node whose partitions have a lease of this length.
    pub fn with_lease(lease: Duration) -> Self {
        Self { idle: idle_limit(lease), ..Self::default() }
    }

    /// Sets how long PostgreSQL may execute a statement. The whole transaction may take 5 seconds
    /// longer. Then this side gives up the connection: the server may never answer.
    pub async fn set_limit(&mut self, limit: Duration) -> Result<(), WriteError> {
        if self.limit != limit {
            self.limit = limit;
            if let Some(connection) = self.connection.as_mut() {
                let statement = statement_timeout(limit);
                let set = connection.batch_execute(&statement);
                tokio::time::timeout(GRACE, set).await.map_err(|_| WriteError::Slow(GRACE))??;
            }
        }
        Ok(())
    }

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
        let limit = self.limit + GRACE;
        let Ok(found) = find_unstorable(connection, batches, limit).await else { return partitions };
        for unstorable in found {
            let Some(entry) = quarantine_entry(batches[unstorable.batch], unstorable) else { continue };
            tracing::error!(sensor = %entry.sensor, ts = %entry.ts, position = %entry.position, reason = entry.detail, "postgresql rejects a reading; it becomes a dead letter");
            // If another owner has claimed the partition, no entry is written. The partition is
            // reopened anyway.
            match tokio::time::timeout(limit, quarantine(connection, &entry)).await {
                Ok(Ok(_)) => drop(partitions.insert(entry.partition)),
                Ok(Err(error)) => tracing::warn!(%error, "cannot quarantine the reading"),
                Err(error) => tracing::warn!(%error, "cannot quarantine the reading"),
            }
        }
        partitions
    }

    /// Commits batches in one transaction. Before that, creates the day tables that are missing.
    ///
    /// # Errors
    /// After an error, the transaction may be committed or not, or still be running. Commit the
    /// same batches again, or the first of them: the commit waits for the transaction before, and
    /// the committed positions decide what is applied.
    pub async fn commit(
        &mut self,
        server: impl Into<PostgresServer>,
        batches: &[&CommitBatch],
    ) -> Result<CommitReport, WriteError> {
        if self.connection.is_none() {
            self.connection = Some(connect_to_write(server.into(), self.limit, self.idle).await?);
        }
        let started = Instant::now();
        let limit = self.limit;
        let committed = tokio::time::timeout(limit + GRACE, self.commit_now(batches)).await;
        match committed {
            // diesel hides the SQLSTATE. A statement that PostgreSQL has cancelled is recognised by
            // its time.
            Ok(Err(WriteError::Database(_))) if started.elapsed() >= limit => {}
            Ok(result) => return result,
            Err(_) => {}
        }
        self.connection = None;
        Err(WriteError::Slow(started.elapsed()))
    }

    async fn commit_now(&mut self, batches: &[&CommitBatch]) -> Result<CommitReport, WriteError> {
        let Some(connection) = self.connection.as_mut() else { return Ok(CommitReport::default()) };
        let days = batches.iter().flat_map(|batch| {
            let rows = batch.rows.iter().map(|logged| logged.row.ts);
            rows.chain(batch.late.iter().map(|late| late.reading.ts)).map(day_of)
        });
        let mut missing: BTreeSet<i32> = days.filter(|day| !self.days.contains(day)).collect();
        if let Some(&newest) = missing.last() {
            // Past days need no table in advance.
            if self.days.last().is_none_or(|&known| known < newest) {
                missing.extend(newest + 1..=newest + DAYS_AHEAD);
            }
            // Configurations whose last day was dropped may be deleted. A day that is created again
            // may refer to them again.
            self.stored.configs.clear();
            let missing: Vec<i32> = missing.into_iter().collect();
            for days in missing.chunks(DAYS_PER_STATEMENT) {
                ensure_days(connection, days).await?;
                self.days.extend(days);
            }
        }
        // Another owner of a partition may have forgotten sensors of it.
        let epochs = batches.iter().map(|batch| (batch.partition, batch.epoch));
        if epochs.filter(|&(partition, epoch)| self.epochs.insert(partition, epoch) != Some(epoch)).count()
            > 0
        {
            self.stored.sensors.clear();
            self.stored.last_days.clear();
        }
        let report = apply(connection, batches, &self.stored).await?;
        if self.stored.sensors.len() > MAX_STORED_SENSORS {
            self.stored.sensors.clear();
            self.stored.last_days.clear();
        }
        self.stored.sensors.extend(&report.written.sensors);
        self.stored.configs.extend(&report.written.configs);
        // Retention deletes a configuration with the newest day of its rows, and another session may
        // create that day again. It does not drop the newest day.
        let rows = batches.iter().flat_map(|batch| &batch.rows);
        self.newest_day = self.newest_day.max(rows.map(|logged| day_of(logged.row.ts)).max());
        self.stored.configs.retain(|_, day| Some(*day) == self.newest_day);
        self.stored.last_days.extend(&report.written.last_days);
        for sensor in &report.forgotten {
            self.stored.sensors.retain(|(stored, _)| stored != sensor);
            self.stored.last_days.remove(sensor);
        }
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
async fn connect_to_write(
    server: PostgresServer,
    limit: Duration,
    idle: Duration,
) -> Result<AsyncPgConnection, WriteError> {
    let mut connection = connect_postgres(server).await?;
    let idle = idle.as_millis();
    let timeouts = format!("SET idle_in_transaction_session_timeout = {idle}; {}", statement_timeout(limit));
    let set = connection.batch_execute(&timeouts);
    tokio::time::timeout(GRACE, set).await.map_err(|_| WriteError::Slow(GRACE))??;
    Ok(connection)
}

fn statement_timeout(limit: Duration) -> String {
    format!("SET statement_timeout = {}", limit.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_may_be_idle_for_less_than_a_lease_and_never_for_less_than_three_seconds() {
        let seconds = Duration::from_secs;
        assert_eq!([1, 4, 40].map(|lease| idle_limit(seconds(lease))), [3, 3, 30].map(seconds));
    }
}
