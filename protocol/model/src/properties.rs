//! The properties that must hold in every state, and those of a final state.

use thicket_schema::Position;

use crate::setting::Setting;
use crate::world::{Detector, Log, Reading, Row, Table, World};

/// Returns the violation of a world, if there is one.
pub fn violation(world: &World, setting: &Setting) -> Option<String> {
    if let Some(wrong) = world.wrong {
        return Some(wrong.to_owned());
    }
    for (partition, (log, table)) in world.logs.iter().zip(&world.tables).enumerate() {
        let wrong = rows_match_an_undisturbed_run(partition, table, setting)
            .or_else(|| position_and_rows_agree(log, table, setting))
            .or_else(|| no_false_loss_is_reported(table, setting))
            .or_else(|| checkpoint_is_behind_the_rows(log, table))
            .or_else(|| detectors_match_the_rows(world, partition));
        if let Some(wrong) = wrong {
            return Some(format!("partition {partition}: {wrong}"));
        }
    }
    (1..=world.broker.acknowledged).find_map(|reading| acknowledged_is_kept(world, reading, setting))
}

/// Each reading has one row, in order, with the score of an undisturbed run.
fn rows_match_an_undisturbed_run(partition: usize, table: &Table, setting: &Setting) -> Option<String> {
    let mut undisturbed = Detector::default();
    for (index, row) in table.rows.iter().enumerate() {
        let expected = (partition + index * setting.partitions) as Reading + 1;
        if row.reading != expected && !setting.is_lossy() {
            return Some(format!("row {} is of reading {}, not {expected}", index + 1, row.reading));
        }
        if row.score.is_none() || row.score != undisturbed.apply(row.reading) {
            return Some(format!("the score of reading {} differs from an undisturbed run", row.reading));
        }
    }
    None
}

/// Every reading up to the position has a row, and no reading beyond it has one.
fn position_and_rows_agree(log: &Log, table: &Table, setting: &Setting) -> Option<String> {
    let stored = |reading: Reading| table.rows.iter().any(|row| row.reading == reading);
    if let Some(Row { reading, at, .. }) = table.rows.iter().find(|row| row.at > table.position) {
        return Some(format!("reading {reading} at {at} has a row, and the position is {}", table.position));
    }
    let is_excused = |at: Position| setting.is_lossy() && is_reported(table, at);
    let committed = log.ever.iter().filter(|&&(_, at)| at <= table.position);
    let missing = committed.copied().find(|&(reading, at)| !stored(reading) && !is_excused(at));
    missing.map(|(reading, _)| format!("reading {reading} is skipped"))
}

fn is_reported(table: &Table, at: Position) -> bool {
    table.losses.iter().any(|&(after, before)| after < at && at < before)
}

/// If Redis loses no entry, no loss is reported.
fn no_false_loss_is_reported(table: &Table, setting: &Setting) -> Option<String> {
    let &(after, before) = table.losses.first().filter(|_| !setting.is_lossy())?;
    Some(format!("a loss is reported between {after} and {before}, but no entry was lost"))
}

/// A checkpoint contains only committed rows.
fn checkpoint_is_behind_the_rows(log: &Log, table: &Table) -> Option<String> {
    let checkpoint = log.checkpoint?;
    let expected = rebuild(table.rows.iter().take(usize::from(checkpoint.seq)).map(|row| row.reading));
    (checkpoint != expected)
        .then(|| format!("the checkpoint at {} is ahead of the {} rows", checkpoint.seq, table.rows.len()))
}

/// The detector of a partition's owner, restored or not, has applied the rows and the batches in
/// flight.
fn detectors_match_the_rows(world: &World, partition: usize) -> Option<String> {
    let table = &world.tables[partition];
    for shard in world.nodes.iter().map(|node| &node.shards[partition]) {
        let (Some(detector), Some(progress)) = (shard.detector, shard.progress) else { continue };
        let stale = shard.scored.as_ref().is_some_and(|batch| batch.epoch != progress.epoch);
        if progress.epoch != table.epoch || stale {
            continue;
        }
        let in_flight = shard.commits.iter().chain(&shard.scored);
        let in_flight = in_flight.filter(|batch| batch.epoch == progress.epoch && batch.to > table.position);
        let in_flight = in_flight.flat_map(|batch| &batch.scored);
        let expected = rebuild(table.rows.iter().chain(in_flight).map(|row| row.reading));
        if detector != expected {
            return Some(format!(
                "the state of the owner's detector is {detector:?}, but its rows lead to {expected:?}"
            ));
        }
    }
    None
}

/// Returns the detector that has applied these readings.
fn rebuild(readings: impl Iterator<Item = Reading>) -> Detector {
    let mut detector = Detector::default();
    for reading in readings {
        detector.apply(reading);
    }
    detector
}

/// An acknowledged reading has been in the log, and stays there until it has a row.
fn acknowledged_is_kept(world: &World, reading: Reading, setting: &Setting) -> Option<String> {
    let partition = world.partition_of(reading);
    let (log, table) = (&world.logs[partition], &world.tables[partition]);
    let mut positions = log.ever.iter().filter(|&&(appended, _)| appended == reading).peekable();
    if positions.peek().is_none() {
        return Some(format!("reading {reading} is acknowledged, but it was never in the log"));
    }
    let waits = log.stored.entries.iter().any(|entry| entry.reading == reading && entry.at > table.position);
    let stored = table.rows.iter().any(|row| row.reading == reading);
    (!stored && !waits && !setting.is_lossy())
        .then(|| format!("reading {reading} is acknowledged, but neither in the log nor in a row"))
}

/// Returns the violation of a final state, if there is one. Every message must be acknowledged, and
/// have a row or a reported loss.
pub fn violation_in_final_state(world: &World, setting: &Setting) -> Option<String> {
    for reading in 1..=setting.readings {
        let partition = world.partition_of(reading);
        let (log, table) = (&world.logs[partition], &world.tables[partition]);
        if reading > world.broker.acknowledged {
            return Some(format!("in a final state, reading {reading} is not acknowledged"));
        }
        let stored = table.rows.iter().any(|row| row.reading == reading);
        let is_lost = |at: Position| is_reported(table, at) || log.stored.last < at;
        let lost = log.ever.iter().any(|&(appended, at)| appended == reading && is_lost(at));
        let is_excused = setting.is_lossy() && lost;
        if !stored && !is_excused {
            return Some(format!("in a final state, reading {reading} has no row"));
        }
    }
    None
}
