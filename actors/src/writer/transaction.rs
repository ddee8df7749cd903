//! One transaction: everything that a set of batches says, or nothing.

use std::collections::{BTreeMap, HashSet};

use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use thicket_schema::{PartitionId, Reason};

use super::advance::{Advance, Counts, advance, lock_partitions};
use super::batch::{CommitBatch, LetterRow, OfferedReading, ReadingColumns, SeenSensor};
use super::letters::insert_letters;
use super::offered::{Fate, offer};
use crate::faults;
use crate::protocol::commit::{Committed, Standing, standing};

use super::rows::{
    insert_configs, insert_heard_labels, insert_losses, insert_readings, upsert_events, upsert_sensors,
};

/// What a transaction did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Where each batch stood.
    pub(super) standings: Vec<Standing>,
    /// Rows of scored readings that were there already. Must be 0.
    pub(super) conflicts: usize,
    /// What was added to the ledgers, over all partitions.
    pub(super) counts: Counts,
    /// The dead letters that were stored.
    pub(super) letters: Vec<Reason>,
    /// What is known to the database now.
    pub(super) known: Known,
    /// Positions that did not move with their rows, because a test wants it so.
    left_behind: BTreeMap<PartitionId, Advance>,
}

/// What need not be written again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Sensors, with their field sets.
    pub(super) sensors: HashSet<(i64, i64)>,
    /// Configurations.
    pub(super) configs: HashSet<u64>,
}

/// Writes the batches that follow on what is committed; the others are only classified.
pub(super) async fn apply(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    let mut applied =
        connection.transaction(async |connection| write(connection, batches, known).await).await?;
    if !faults::keeps("rule.position_with_rows") {
        faults::pass("commit.before");
        advance(connection, &applied.left_behind).await?;
        applied.left_behind.clear();
    }
    if faults::fails("commit.lost") {
        let kind = diesel::result::DatabaseErrorKind::ClosedConnection;
        return Err(DatabaseError::DatabaseError(kind, Box::new("a reply that a test took away".to_owned())));
    }
    faults::pass("commit.after");
    Ok(applied)
}

async fn write(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    known: &Known,
) -> Result<Applied, DatabaseError> {
    let ids: Vec<i32> = batches.iter().map(|batch| i32::from(batch.partition.0)).collect();
    let mut committed = lock_partitions(connection, ids).await?;
    let epochs: BTreeMap<PartitionId, i64> =
        committed.iter().map(|(&partition, at)| (partition, at.epoch)).collect();
    if !faults::keeps("rule.epoch_is_checked") {
        for batch in batches {
            committed.entry(batch.partition).and_modify(|at| at.epoch = batch.epoch);
        }
    }
    let mut applied = Applied::default();
    let mut work = Work::default();
    for &batch in batches {
        let standing = standing(batch.step(), committed.get(&batch.partition).copied());
        applied.standings.push(standing);
        if standing == Standing::Next {
            committed.insert(batch.partition, Committed { epoch: batch.epoch, position: batch.to });
            work.add(batch, known);
        }
    }
    if work.advances.is_empty() {
        return Ok(applied);
    }

    if !faults::keeps("rule.epoch_is_checked") {
        for (partition, advance) in &mut work.advances {
            advance.epoch = epochs[partition];
        }
    }
    faults::pass("insert.before");
    let partition_of = |seen: &SeenSensor| work.sensor_partitions[&seen.sensor.id().0];
    upsert_sensors(connection, partition_of, &work.sensors).await?;
    insert_configs(connection, &work.configs).await?;
    let inserted = insert_readings(connection, &work.rows).await?;
    applied.conflicts = work.rows.len() - inserted;

    let fates = offer(connection, &work.offered).await?;
    for (fate, partition) in fates.into_iter().zip(work.offered_partitions) {
        let counts = &mut work.advances.entry(partition).or_default().counts;
        match fate {
            Fate::Late => counts.late += 1,
            Fate::Duplicate => counts.duplicates += 1,
            Fate::Conflict(letter) => work.letters.push((partition, *letter)),
        }
    }
    let stored = insert_letters(connection, &work.letters).await?;
    for ((partition, row), stored) in work.letters.iter().zip(stored) {
        let counts = &mut work.advances.entry(*partition).or_default().counts;
        if stored {
            counts.dead_letters += 1;
            applied.letters.push(row.letter.reason);
        } else {
            counts.duplicates += 1;
        }
    }
    for batch in &work.beside_rows_of {
        upsert_events(connection, &batch.events).await?;
        insert_heard_labels(connection, &batch.heard).await?;
        insert_losses(connection, batch.partition, &batch.losses).await?;
    }
    if !faults::keeps("rule.position_with_rows") {
        applied.left_behind.clone_from(&work.advances);
    } else if advance(connection, &work.advances).await? != work.advances.len() {
        // The rows are locked and were checked, so this cannot be; if it is, nothing of this transaction may stand.
        return Err(DatabaseError::RollbackTransaction);
    }
    faults::pass("insert.after");
    for advance in work.advances.values() {
        applied.counts = sum(applied.counts, advance.counts);
    }
    applied.known.sensors = work.sensors.iter().map(|seen| (seen.sensor.id().0, seen.fields.id())).collect();
    applied.known.configs = work.configs.keys().copied().collect();
    faults::pass("commit.before");
    Ok(applied)
}

/// The batches to be written, merged into the shape of the statements.
#[derive(Default)]
struct Work<'a> {
    advances: BTreeMap<PartitionId, Advance>,
    rows: ReadingColumns,
    offered: Vec<OfferedReading>,
    offered_partitions: Vec<PartitionId>,
    letters: Vec<(PartitionId, LetterRow)>,
    beside_rows_of: Vec<&'a CommitBatch>,
    sensors: Vec<SeenSensor>,
    sensor_partitions: BTreeMap<i64, i32>,
    configs: BTreeMap<u64, &'a str>,
}

impl<'a> Work<'a> {
    fn add(&mut self, batch: &'a CommitBatch, known: &Known) {
        let fresh = Advance { epoch: batch.epoch, from: batch.from, ..Advance::default() };
        let advance = self.advances.entry(batch.partition).or_insert(fresh);
        advance.to = batch.to;
        if batch.detectors.is_some() {
            advance.detectors.clone_from(&batch.detectors);
        }
        advance.counts.delivered += batch.delivered;
        advance.counts.poison += batch.poison;
        advance.counts.scored += batch.rows.len() as u64 - batch.poison;
        self.rows.append(batch.rows.clone());
        self.offered.extend_from_slice(&batch.offered);
        self.offered_partitions.resize(self.offered.len(), batch.partition);
        self.letters.extend(batch.letters.iter().map(|letter| (batch.partition, letter.clone())));
        if !batch.events.is_empty() || !batch.heard.is_empty() || !batch.losses.is_empty() {
            self.beside_rows_of.push(batch);
        }
        for (&id, settings) in &batch.configs {
            if !known.configs.contains(&id) {
                self.configs.insert(id, settings);
            }
        }
        for seen in &batch.sensors {
            let key = (seen.sensor.id().0, seen.fields.id());
            if !known.sensors.contains(&key) {
                self.sensor_partitions.insert(key.0, i32::from(batch.partition.0));
                self.sensors.push(seen.clone());
            }
        }
    }
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        delivered: a.delivered + b.delivered,
        scored: a.scored + b.scored,
        poison: a.poison + b.poison,
        late: a.late + b.late,
        duplicates: a.duplicates + b.duplicates,
        dead_letters: a.dead_letters + b.dead_letters,
    }
}
