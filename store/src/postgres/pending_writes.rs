//! The writes of one transaction, collected from its batches, and the report of the transaction.

use std::collections::{BTreeMap, HashSet};

use diesel::result::Error as DatabaseError;
use diesel_async::AsyncPgConnection;
use thicket_protocol::commit::{CommitDecision, Committed, decide};
use thicket_schema::postgres::{Ledger, ReadingRow};
use thicket_schema::{DeadLetter, PartitionId, Reason};

use super::anomalies::{close_open_anomalies, upsert_anomalies};
use super::batch::{CommitBatch, LateReading, LoggedDeadLetter, SeenSensor};
use super::clocks::{insert_clock_changes, update_clocks};
use super::configs::{UsedConfig, upsert_configs};
use super::day_tables::day_of;
use super::dead_letters::insert_dead_letters;
use super::labels::insert_applied_labels;
use super::late::{LateOutcome, insert_late};
use super::log_losses::insert_losses;
use super::notifications::{announce, announce_reshaped};
use super::positions::{Advance, lock_partitions};
use super::readings::insert_readings;
use super::sensor_fields::write_field_reports;
use super::sensor_requests::{forget, insert_reset};
use super::sensors::{upsert_sensors, write_last_days};
use crate::faults;

/// The outcome of a transaction.
#[derive(Debug, Default)]
pub struct CommitReport {
    /// The decision on each batch.
    pub decisions: Vec<CommitDecision>,
    /// Rows of scored readings that were stored before. Must be 0.
    pub conflicts: usize,
    /// The sum of what was added to the ledgers of all partitions.
    pub ledger: Ledger,
    /// The reasons of the dead letters that were stored.
    pub dead_letters: Vec<Reason>,
    /// The first dead letter of each reason.
    pub dead_letter_examples: BTreeMap<Reason, DeadLetter>,
    /// The sensors and configurations that the transaction wrote.
    pub(super) written: StoredReferences,
    /// The sensors that are not stored any more.
    pub(super) forgotten: Vec<i64>,
}

/// Rows that readings refer to. They are stored already and need not be written again.
#[derive(Debug, Default)]
pub(super) struct StoredReferences {
    /// Ids of sensors, each with the id of a field set.
    pub(super) sensors: HashSet<(i64, i64)>,
    /// The newest day of each configuration, by identity.
    pub(super) configs: BTreeMap<u64, i32>,
    /// The newest day of each sensor.
    pub(super) last_days: BTreeMap<i64, i32>,
}

/// Locks the partitions of the batches and returns the epoch and position of each.
pub(super) async fn lock(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
) -> Result<BTreeMap<PartitionId, Committed>, DatabaseError> {
    let ids = batches.iter().map(|batch| i32::from(batch.partition.0)).collect();
    lock_partitions(connection, ids).await
}

/// Passes the fail points between the commit and its reply.
pub(super) fn after_commit() -> Result<(), DatabaseError> {
    if faults::fails("commit.lost") {
        let kind = diesel::result::DatabaseErrorKind::ClosedConnection;
        return Err(DatabaseError::DatabaseError(kind, Box::new("a reply that a test took away".to_owned())));
    }
    faults::pass("commit.after");
    Ok(())
}

/// The batches to write, merged for the statements.
#[derive(Default)]
pub(super) struct PendingWrites<'a> {
    pub(super) advances: BTreeMap<PartitionId, Advance>,
    rows: Vec<&'a ReadingRow>,
    late: Vec<&'a LateReading>,
    late_partitions: Vec<PartitionId>,
    dead_letters: Vec<(PartitionId, &'a LoggedDeadLetter)>,
    /// Sensors that are not stored yet with this field set, each with its partition.
    sensors: Vec<(i32, &'a SeenSensor)>,
    configs: BTreeMap<u64, UsedConfig<'a>>,
    last_days: BTreeMap<i64, i32>,
    batches: Vec<&'a CommitBatch>,
}

impl<'a> PendingWrites<'a> {
    /// Decides on each batch and adds the batches to apply.
    pub(super) fn add_all(
        &mut self,
        batches: &[&'a CommitBatch],
        mut committed: BTreeMap<PartitionId, Committed>,
        stored: &StoredReferences,
    ) -> CommitReport {
        let mut report = CommitReport::default();
        for &batch in batches {
            let decision = decide(batch.advance(), committed.get(&batch.partition).copied());
            report.decisions.push(decision);
            if decision == CommitDecision::Apply {
                committed.insert(batch.partition, Committed { epoch: batch.epoch, position: batch.to });
                self.add(batch, stored);
            }
        }
        report
    }

    fn add(&mut self, batch: &'a CommitBatch, stored: &StoredReferences) {
        let fresh = Advance { epoch: batch.epoch, from: batch.from, ..Advance::default() };
        let advance = self.advances.entry(batch.partition).or_insert(fresh);
        advance.to = batch.to;
        if batch.detectors.is_some() {
            advance.detectors.clone_from(&batch.detectors);
        }
        advance.counts.delivered += batch.delivered.cast_signed();
        advance.counts.duplicates += batch.duplicates.cast_signed();
        advance.counts.poison += batch.poison.cast_signed();
        advance.counts.unscored += batch.unscored.cast_signed();
        advance.counts.scored += batch.rows.len() as i64 - (batch.poison + batch.unscored).cast_signed();
        self.rows.extend(batch.rows.iter().map(|logged| &logged.row));
        let rows = batch.rows.iter().map(|logged| (logged.row.sensor, logged.row.ts));
        let late = batch.late.iter().map(|late| (late.reading.sensor.id().0, late.reading.ts));
        for (sensor, ts) in rows.chain(late) {
            let day = day_of(ts);
            if stored.last_days.get(&sensor).is_none_or(|&stored| stored < day) {
                let newest = self.last_days.entry(sensor).or_insert(day);
                *newest = day.max(*newest);
            }
        }
        self.late.extend(&batch.late);
        self.late_partitions.resize(self.late.len(), batch.partition);
        self.dead_letters.extend(batch.dead_letters.iter().map(|logged| (batch.partition, logged)));
        for row in batch.rows.iter().map(|logged| &logged.row) {
            let Some(id) = row.config.map(i64::cast_unsigned) else { continue };
            let newest_day = day_of(row.ts);
            if stored.configs.get(&id).is_some_and(|&stored| stored >= newest_day) {
                continue;
            }
            if let Some(settings) = batch.configs.get(&id) {
                let used = self.configs.entry(id).or_insert(UsedConfig { settings, newest_day });
                used.newest_day = used.newest_day.max(newest_day);
            }
        }
        for seen in &batch.sensors {
            let key = (seen.sensor.id().0, seen.fields.id());
            if !stored.sensors.contains(&key) {
                self.sensors.push((i32::from(batch.partition.0), seen));
            }
        }
        self.batches.push(batch);
    }

    /// Writes all changes except the positions, and completes the report.
    pub(super) async fn insert(
        &mut self,
        connection: &mut AsyncPgConnection,
        report: &mut CommitReport,
    ) -> Result<(), DatabaseError> {
        faults::pass("insert.before");
        upsert_sensors(connection, &self.sensors).await?;
        write_last_days(connection, &self.last_days).await?;
        // Of several reports about a sensor, the last one counts.
        let fields = self.batches.iter().flat_map(|batch| &batch.fields).collect();
        write_field_reports(connection, &fields).await?;
        upsert_configs(connection, &self.configs).await?;
        let inserted = insert_readings(connection, &self.rows).await?;
        report.conflicts = self.rows.len() - inserted;

        let mut conflicts = Vec::new();
        let outcomes = insert_late(connection, &self.late).await?;
        for (outcome, &partition) in outcomes.into_iter().zip(&self.late_partitions) {
            let counts = &mut self.advances.entry(partition).or_default().counts;
            match outcome {
                LateOutcome::Late => counts.late += 1,
                LateOutcome::Duplicate => counts.duplicates += 1,
                LateOutcome::Conflict(dead_letter) => conflicts.push((partition, *dead_letter)),
            }
        }
        let conflicts = conflicts.iter().map(|(partition, logged)| (*partition, logged));
        let dead_letters: Vec<_> = self.dead_letters.iter().copied().chain(conflicts).collect();
        let are_new = insert_dead_letters(connection, &dead_letters).await?;
        for ((partition, logged), is_new) in dead_letters.iter().zip(are_new) {
            let counts = &mut self.advances.entry(*partition).or_default().counts;
            if is_new {
                counts.dead_letters += 1;
                counts.dead_letters_unstored += i64::from(logged.dead_letter.count_only);
                let letter = &logged.dead_letter;
                report.dead_letters.push(letter.reason);
                if !letter.count_only {
                    report.dead_letter_examples.entry(letter.reason).or_insert_with(|| letter.clone());
                }
            } else {
                counts.duplicates += 1;
            }
        }
        for batch in &self.batches {
            announce_reshaped(connection, &batch.reshaped).await?;
            close_open_anomalies(connection, &batch.reshaped).await?;
            announce(connection, &batch.anomalies).await?;
            upsert_anomalies(connection, &batch.anomalies).await?;
            insert_applied_labels(connection, &batch.applied_labels).await?;
            update_clocks(connection, &batch.clocks).await?;
            insert_clock_changes(connection, &batch.clock_changes).await?;
            insert_losses(connection, batch.partition, &batch.losses).await?;
            if let Some((sensor, reset)) = &batch.reset {
                insert_reset(connection, *sensor, reset).await?;
            }
            if let Some((sensor, request)) = batch.forgotten
                && forget(connection, sensor, request).await?
            {
                report.forgotten.push(sensor.0);
            }
        }
        report.ledger = self.advances.values().map(|advance| advance.counts).sum();
        report.written.sensors =
            self.sensors.iter().map(|(_, seen)| (seen.sensor.id().0, seen.fields.id())).collect();
        report.written.configs = self.configs.iter().map(|(&id, used)| (id, used.newest_day)).collect();
        report.written.last_days.clone_from(&self.last_days);
        Ok(())
    }
}
