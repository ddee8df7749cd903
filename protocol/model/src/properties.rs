//! What must hold whatever happens, and what must be true once nothing is left to do.

use thicket_schema::Position;

use crate::setting::Setting;
use crate::world::{Detector, Log, Reading, Row, Table, World};

/// What is wrong with a world, if anything is.
pub fn violation(world: &World, setting: &Setting) -> Option<String> {
    if let Some(wrong) = world.wrong {
        return Some(wrong.to_owned());
    }
    for (partition, (log, table)) in world.logs.iter().zip(&world.tables).enumerate() {
        let wrong = rows_are_those_of_an_undisturbed_run(partition, table, setting)
            .or_else(|| position_and_rows_agree(log, table, setting))
            .or_else(|| no_loss_is_made_up(table, setting))
            .or_else(|| checkpoint_is_behind_the_rows(log, table))
            .or_else(|| detectors_are_where_the_rows_lead(world, partition));
        if let Some(wrong) = wrong {
            return Some(format!("partition {partition}: {wrong}"));
        }
    }
    (1..=world.broker.acknowledged).find_map(|reading| acknowledged_is_kept(world, reading, setting))
}

/// Once, in order, and each score a function of the same history.
fn rows_are_those_of_an_undisturbed_run(
    partition: usize,
    table: &Table,
    setting: &Setting,
) -> Option<String> {
    let mut undisturbed = Detector::default();
    for (index, row) in table.rows.iter().enumerate() {
        let expected = (partition + index * setting.partitions) as Reading + 1;
        if row.reading != expected && !setting.is_lossy() {
            return Some(format!("row {} is of reading {}, not {expected}", index + 1, row.reading));
        }
        if row.score.is_none() || row.score != undisturbed.apply(row.reading) {
            return Some(format!("the score of reading {} is another", row.reading));
        }
    }
    None
}

/// Everything up to the position is in a row, and nothing beyond it.
fn position_and_rows_agree(log: &Log, table: &Table, setting: &Setting) -> Option<String> {
    let stored = |reading: Reading| table.rows.iter().any(|row| row.reading == reading);
    if let Some(Row { reading, at, .. }) = table.rows.iter().find(|row| row.at > table.position) {
        return Some(format!("reading {reading} at {at} has a row, and the position is {}", table.position));
    }
    let is_excused = |at: Position| setting.is_lossy() && is_reported(table, at);
    let committed = log.ever.iter().filter(|&&(_, at)| at <= table.position);
    let missing = committed.copied().find(|&(reading, at)| !stored(reading) && !is_excused(at));
    missing.map(|(reading, _)| format!("reading {reading} is passed over"))
}

fn is_reported(table: &Table, at: Position) -> bool {
    table.losses.iter().any(|&(after, before)| after < at && at < before)
}

/// Where Redis loses nothing, nothing is reported as lost.
fn no_loss_is_made_up(table: &Table, setting: &Setting) -> Option<String> {
    let &(after, before) = table.losses.first().filter(|_| !setting.is_lossy())?;
    Some(format!("a loss is reported between {after} and {before}, and there was none"))
}

/// A checkpoint is of what is committed.
fn checkpoint_is_behind_the_rows(log: &Log, table: &Table) -> Option<String> {
    let checkpoint = log.checkpoint?;
    let of_the_rows = rebuilt(table.rows.iter().take(usize::from(checkpoint.seq)).map(|row| row.reading));
    (checkpoint != of_the_rows)
        .then(|| format!("the checkpoint at {} is ahead of the {} rows", checkpoint.seq, table.rows.len()))
}

/// The owner's detector has applied the rows and what is on its way to become rows, whether it was restored or never away.
fn detectors_are_where_the_rows_lead(world: &World, partition: usize) -> Option<String> {
    let table = &world.tables[partition];
    for shard in world.nodes.iter().map(|node| &node.shards[partition]) {
        let (Some(detector), Some(progress)) = (shard.detector, shard.progress) else { continue };
        let stale = shard.scored.as_ref().is_some_and(|batch| batch.epoch != progress.epoch);
        if progress.epoch != table.epoch || stale {
            continue;
        }
        let coming = shard.commits.iter().chain(&shard.scored);
        let coming = coming.filter(|batch| batch.epoch == progress.epoch && batch.to > table.position);
        let coming = coming.flat_map(|batch| &batch.scored);
        let expected = rebuilt(table.rows.iter().chain(coming).map(|row| row.reading));
        if detector != expected {
            return Some(format!(
                "the owner's detector is not where the rows lead: {detector:?}, not {expected:?}"
            ));
        }
    }
    None
}

fn rebuilt(readings: impl Iterator<Item = Reading>) -> Detector {
    let mut detector = Detector::default();
    for reading in readings {
        detector.apply(reading);
    }
    detector
}

/// What the broker was told to forget has been in the log, and is there until it is committed.
fn acknowledged_is_kept(world: &World, reading: Reading, setting: &Setting) -> Option<String> {
    let partition = world.partition_of(reading);
    let (log, table) = (&world.logs[partition], &world.tables[partition]);
    let mut places = log.ever.iter().filter(|&&(placed, _)| placed == reading).peekable();
    if places.peek().is_none() {
        return Some(format!("reading {reading} is acknowledged and was never in the log"));
    }
    let waits = log.stored.entries.iter().any(|entry| entry.reading == reading && entry.at > table.position);
    let stored = table.rows.iter().any(|row| row.reading == reading);
    (!stored && !waits && !setting.is_lossy())
        .then(|| format!("reading {reading} is acknowledged, and neither in the log nor in a row"))
}

/// What is wrong with a world in which nothing is left to do, if anything is: every message became a row, or its loss is reported.
pub fn violation_when_settled(world: &World, setting: &Setting) -> Option<String> {
    for reading in 1..=setting.readings {
        let partition = world.partition_of(reading);
        let (log, table) = (&world.logs[partition], &world.tables[partition]);
        if reading > world.broker.acknowledged {
            return Some(format!("nothing is left to do, and reading {reading} is not acknowledged"));
        }
        let stored = table.rows.iter().any(|row| row.reading == reading);
        let excused = |at: Position| is_reported(table, at) || log.stored.last < at;
        let lost = log.ever.iter().any(|&(placed, at)| placed == reading && excused(at));
        let is_excused = setting.is_lossy() && lost;
        if !stored && !is_excused {
            return Some(format!("nothing is left to do, and reading {reading} has no row"));
        }
    }
    None
}
