//! The commit point. One transaction writes everything that a set of batches says, or nothing.

#[cfg(feature = "faults")]
mod broken;

use std::collections::{BTreeMap, HashSet};

use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use thicket_protocol::commit::{CommitDecision, Committed, decide};
use thicket_schema::postgres::{Ledger, ReadingRow};
use thicket_schema::{PartitionId, Reason};

use super::anomalies::{close_open_anomalies, upsert_anomalies};
use super::batch::{CommitBatch, LateReading, LoggedDeadLetter, SeenSensor};
use super::configs::insert_configs;
use super::dead_letters::insert_dead_letters;
use super::labels::insert_applied_labels;
use super::late::{LateOutcome, insert_late};
use super::log_losses::insert_losses;
use super::positions::{Advance, advance, lock_partitions};
use super::readings::insert_readings;
use super::sensors::upsert_sensors;
use crate::faults;

/// What a transaction did.
#[derive(Debug, Default)]
pub struct Applied {
    /// What was decided on each batch.
    pub decisions: Vec<CommitDecision>,
    /// Rows of scored readings that were there already. Must be 0.
    pub conflicts: usize,
    /// What was added to the ledgers, over all partitions.
    pub ledger: Ledger,
    /// The reasons of the dead letters that were stored.
    pub dead_letters: Vec<Reason>,
    /// What the transaction wrote and later transactions need not write again.
    pub known: Known,
}

/// What is in the database and need not be written again.
#[derive(Debug, Default)]
pub struct Known {
    /// Sensors, each with the id of a field set.
    pub sensors: HashSet<(i64, i64)>,
    /// Identities of configurations.
    pub configs: HashSet<u64>,
}

/// Commits the batches that follow the committed positions. The others are only decided on.
pub(super) async fn apply(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    #[cfg(feature = "faults")]
    if broken::is_wanted() {
        return broken::apply(connection, batches, known).await;
    }
    let applied = connection.transaction(async |connection| write(connection, batches, known).await).await?;
    after_commit()?;
    Ok(applied)
}

async fn write(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    let committed = lock(connection, batches).await?;
    let mut writes = PendingWrites::default();
    let mut applied = writes.add_all(batches, committed, known);
    if writes.advances.is_empty() {
        return Ok(applied);
    }
    writes.insert(connection, &mut applied).await?;
    if advance(connection, &writes.advances).await? != writes.advances.len() {
        // The partitions are locked and were checked, so this cannot happen. If it does, roll everything back.
        return Err(DatabaseError::RollbackTransaction);
    }
    faults::pass("insert.after");
    faults::pass("commit.before");
    Ok(applied)
}

async fn lock(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
) -> Result<BTreeMap<PartitionId, Committed>, DatabaseError> {
    let ids = batches.iter().map(|batch| i32::from(batch.partition.0)).collect();
    lock_partitions(connection, ids).await
}

/// The fail points between the commit and its reply.
fn after_commit() -> Result<(), DatabaseError> {
    if faults::fails("commit.lost") {
        let kind = diesel::result::DatabaseErrorKind::ClosedConnection;
        return Err(DatabaseError::DatabaseError(kind, Box::new("a reply that a test took away".to_owned())));
    }
    faults::pass("commit.after");
    Ok(())
}

/// The batches to write, merged for the statements.
#[derive(Default)]
struct PendingWrites<'a> {
    advances: BTreeMap<PartitionId, Advance>,
    rows: Vec<&'a ReadingRow>,
    late: Vec<&'a LateReading>,
    late_partitions: Vec<PartitionId>,
    dead_letters: Vec<(PartitionId, &'a LoggedDeadLetter)>,
    sensors: Vec<&'a SeenSensor>,
    sensor_partitions: BTreeMap<i64, i32>,
    configs: BTreeMap<u64, &'a str>,
    batches: Vec<&'a CommitBatch>,
}

impl<'a> PendingWrites<'a> {
    /// Decides on each batch and adds those that are to be applied.
    fn add_all(
        &mut self,
        batches: &[&'a CommitBatch],
        mut committed: BTreeMap<PartitionId, Committed>,
        known: &Known,
    ) -> Applied {
        let mut applied = Applied::default();
        for &batch in batches {
            let decision = decide(batch.advance(), committed.get(&batch.partition).copied());
            applied.decisions.push(decision);
            if decision == CommitDecision::Apply {
                committed.insert(batch.partition, Committed { epoch: batch.epoch, position: batch.to });
                self.add(batch, known);
            }
        }
        applied
    }

    fn add(&mut self, batch: &'a CommitBatch, known: &Known) {
        let fresh = Advance { epoch: batch.epoch, from: batch.from, ..Advance::default() };
        let advance = self.advances.entry(batch.partition).or_insert(fresh);
        advance.to = batch.to;
        if batch.detectors.is_some() {
            advance.detectors.clone_from(&batch.detectors);
        }
        advance.counts.delivered += batch.delivered.cast_signed();
        advance.counts.poison += batch.poison.cast_signed();
        advance.counts.scored += batch.rows.len() as i64 - batch.poison.cast_signed();
        self.rows.extend(batch.rows.iter().map(|logged| &logged.row));
        self.late.extend(&batch.late);
        self.late_partitions.resize(self.late.len(), batch.partition);
        self.dead_letters.extend(batch.dead_letters.iter().map(|letter| (batch.partition, letter)));
        for (&id, settings) in &batch.configs {
            if !known.configs.contains(&id) {
                self.configs.insert(id, settings);
            }
        }
        for seen in &batch.sensors {
            let key = (seen.sensor.id().0, seen.fields.id());
            if !known.sensors.contains(&key) {
                self.sensor_partitions.insert(key.0, i32::from(batch.partition.0));
                self.sensors.push(seen);
            }
        }
        self.batches.push(batch);
    }

    /// Writes everything but the positions.
    async fn insert(
        &mut self,
        connection: &mut AsyncPgConnection,
        applied: &mut Applied,
    ) -> Result<(), DatabaseError> {
        faults::pass("insert.before");
        let partition_of = |seen: &SeenSensor| self.sensor_partitions[&seen.sensor.id().0];
        upsert_sensors(connection, partition_of, &self.sensors).await?;
        insert_configs(connection, &self.configs).await?;
        let inserted = insert_readings(connection, &self.rows).await?;
        applied.conflicts = self.rows.len() - inserted;

        let mut conflicts = Vec::new();
        let outcomes = insert_late(connection, &self.late).await?;
        for (outcome, &partition) in outcomes.into_iter().zip(&self.late_partitions) {
            let counts = &mut self.advances.entry(partition).or_default().counts;
            match outcome {
                LateOutcome::Late => counts.late += 1,
                LateOutcome::Duplicate => counts.duplicates += 1,
                LateOutcome::Conflict(letter) => conflicts.push((partition, *letter)),
            }
        }
        let conflicts = conflicts.iter().map(|(partition, letter)| (*partition, letter));
        let dead_letters: Vec<_> = self.dead_letters.iter().copied().chain(conflicts).collect();
        let stored = insert_dead_letters(connection, &dead_letters).await?;
        for ((partition, logged), stored) in dead_letters.iter().zip(stored) {
            let counts = &mut self.advances.entry(*partition).or_default().counts;
            if stored {
                counts.dead_letters += 1;
                applied.dead_letters.push(logged.letter.reason);
            } else {
                counts.duplicates += 1;
            }
        }
        for batch in &self.batches {
            close_open_anomalies(connection, &batch.reshaped).await?;
            upsert_anomalies(connection, &batch.anomalies).await?;
            insert_applied_labels(connection, &batch.applied_labels).await?;
            insert_losses(connection, batch.partition, &batch.losses).await?;
        }
        applied.ledger = self.advances.values().map(|advance| advance.counts).sum();
        applied.known.sensors =
            self.sensors.iter().map(|seen| (seen.sensor.id().0, seen.fields.id())).collect();
        applied.known.configs = self.configs.keys().copied().collect();
        Ok(())
    }
}
