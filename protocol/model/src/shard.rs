//! From the log to the tables: what `shard/`, `detector/restore.rs`, `writer/` and `checkpoint/` do with one partition.

use thicket_protocol::checkpoint::{is_ahead, is_written};
use thicket_protocol::commit::{CommitDecision, Committed, PositionAdvance, decide};
use thicket_protocol::log::{is_gap, keep_from};
use thicket_protocol::progress::Progress;

use crate::action::Action;
use crate::setting::{Rule, Setting};
use crate::world::{Batch, Detector, Row, Shard, Table, World};

/// What can happen between a log and the tables.
pub fn actions(world: &World, node: usize, partition: usize, setting: &Setting, possible: &mut Vec<Action>) {
    let shard = &world.nodes[node].shards[partition];
    let entries = &world.logs[partition].stored.entries;
    if let (Some((epoch, after)), Some(progress)) = (shard.asked, shard.progress) {
        let current = progress.is_current(epoch);
        let waiting = entries.iter().filter(|entry| entry.at > after).count();
        if current || !setting.keeps(Rule::AnswersAreCurrent) {
            possible.extend((waiting > 0).then_some(Action::Answer { node, partition, all: true }));
            possible.extend((waiting > 1).then_some(Action::Answer { node, partition, all: false }));
        }
        possible.extend((!current).then_some(Action::AskAgain { node, partition }));
    }
    if shard.scored.is_some() {
        possible.push(Action::TakeUp { node, partition });
    }
    if !shard.commits.is_empty() {
        possible.extend([true, false].map(|answered| Action::Commit { node, partition, answered }));
        possible.push(Action::Refuse { node, partition });
    }
    if shard.saving.is_some() {
        possible.push(Action::Save { node, partition });
    }
    if let Some(progress) = shard.progress {
        let commit_finished = progress.in_flight == 0 && shard.scored.is_none();
        possible.extend(
            (commit_finished && shard.detector.is_some()).then_some(Action::Retire { node, partition }),
        );
        let keep = keep_from(trimmed_to(&progress, setting));
        if keep.is_some_and(|keep| entries.iter().any(|entry| entry.at < keep)) {
            possible.push(Action::Trim { node, partition });
        }
    }
}

/// The loop asks for what follows the last entry it took up.
pub fn ask(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    shard.asked = shard.progress.map(|progress| (progress.epoch, progress.read));
}

/// The answer arrives and is scored.
pub fn score(world: &mut World, node: usize, partition: usize, all: bool, setting: &Setting) {
    let shard = &world.nodes[node].shards[partition];
    let (Some((_, after)), Some(progress)) = (shard.asked, shard.progress) else { return };
    let answer = world.logs[partition].stored.entries.iter().filter(|entry| entry.at > after);
    let answer = answer.take(if all { usize::MAX } else { 1 });
    let read: Vec<_> = answer.filter(|entry| progress.is_unread(entry.at)).copied().collect();
    world.nodes[node].shards[partition].asked = None;
    if read.is_empty() {
        return ask(world, node, partition);
    }
    let mut detector = match world.nodes[node].shards[partition].detector {
        Some(detector) => detector,
        None => restore(world, node, partition),
    };
    let (mut scored, mut offered, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = progress.read;
    for entry in read {
        if is_gap(last, entry.predecessor) && setting.keeps(Rule::LossesAreReported) {
            losses.push((last, entry.at));
        }
        let score = detector.apply(entry.reading);
        let rows = if score.is_some() { &mut scored } else { &mut offered };
        rows.push(Row { reading: entry.reading, score, at: entry.at });
        last = entry.at;
    }
    let shard = &mut world.nodes[node].shards[partition];
    shard.detector = Some(detector);
    let Progress { epoch, read: from, .. } = progress;
    shard.scored =
        Some(Batch { epoch, from, to: last, scored, offered, losses, after: detector, left_behind: false });
}

/// The newest checkpoint that may be believed, and the rows after it, applied again.
fn restore(world: &mut World, node: usize, partition: usize) -> Detector {
    let rows = &world.tables[partition].rows;
    let scores: Vec<_> = rows.iter().filter(|row| row.score.is_some()).collect();
    let newest = Some(scores.len() as u64);
    let saved = world.nodes[node].shards[partition].saving.or(world.logs[partition].checkpoint);
    let believed = saved.filter(|saved| !is_ahead(u64::from(saved.seq), newest));
    if believed.is_none() {
        world.logs[partition].checkpoint = None;
    }
    let mut detector = believed.unwrap_or_default();
    for row in scores.into_iter().skip(usize::from(detector.seq)) {
        if detector.apply(row.reading) != row.score {
            world.wrong = Some("a restore leads to other scores than are stored");
        }
    }
    detector
}

/// What is scored goes to the writer, unless the partition has been reopened meanwhile.
pub fn advance_read(world: &mut World, node: usize, partition: usize, setting: &Setting) {
    let shard = &mut world.nodes[node].shards[partition];
    let Some(batch) = shard.scored.take() else { return };
    let current =
        shard.progress.as_mut().is_some_and(|progress| progress.advance_read(batch.epoch, batch.to));
    if current {
        if !setting.keeps(Rule::RowsBeforeCheckpoint) {
            shard.saving = Some(batch.after);
        }
        shard.commits.push(batch);
    } else {
        shard.detector = None;
    }
    ask(world, node, partition);
}

/// The oldest batch's transaction.
pub fn commit(world: &mut World, node: usize, partition: usize, answered: bool, setting: &Setting) {
    let World { nodes, tables, wrong, .. } = world;
    let (shard, table) = (&mut nodes[node].shards[partition], &mut tables[partition]);
    let batch = &mut shard.commits[0];
    let decision = transact(table, batch, wrong, setting);
    if batch.left_behind || !answered {
        return;
    }
    let batch = shard.commits.remove(0);
    if decision == CommitDecision::Fenced {
        return on_refused(shard, batch.epoch);
    }
    let current =
        shard.progress.as_mut().is_some_and(|progress| progress.on_committed(batch.epoch, batch.to));
    if current && setting.keeps(Rule::RowsBeforeCheckpoint) {
        shard.saving = Some(batch.after);
    }
}

/// What a transaction does to the tables.
fn transact(
    table: &mut Table,
    batch: &mut Batch,
    wrong: &mut Option<&'static str>,
    setting: &Setting,
) -> CommitDecision {
    let epoch = if setting.keeps(Rule::EpochIsChecked) { table.epoch } else { batch.epoch };
    let advance = PositionAdvance { epoch: batch.epoch, from: batch.from, to: batch.to };
    let decision = decide(advance, Some(Committed { epoch, position: table.position }));
    if decision != CommitDecision::Apply {
        batch.left_behind = false;
        return decision;
    }
    if table.epoch != batch.epoch {
        *wrong = Some("a node commits to a partition that is another's");
    }
    if batch.left_behind {
        batch.left_behind = false;
        table.position = batch.to;
        return decision;
    }
    for row in &batch.scored {
        if table.rows.iter().any(|stored| stored.reading == row.reading) {
            *wrong = Some("a scored row was there already");
        }
        table.rows.push(*row);
    }
    for row in &batch.offered {
        if table.rows.iter().all(|stored| stored.reading != row.reading) {
            table.rows.push(*row);
        }
    }
    table.losses.extend(&batch.losses);
    if setting.keeps(Rule::PositionWithRows) {
        table.position = batch.to;
    } else {
        batch.left_behind = true;
    }
    decision
}

/// The writer gives up what it has, without having tried it again.
pub fn refuse(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    for batch in std::mem::take(&mut shard.commits) {
        on_refused(shard, batch.epoch);
    }
}

fn on_refused(shard: &mut Shard, epoch: i64) {
    if shard.progress.is_some_and(|progress| progress.epoch == epoch) {
        close(shard);
    }
}

/// Forgets the partition. A question that is on its way, outcomes and commits are not called back.
pub fn close(shard: &mut Shard) {
    shard.progress = None;
    shard.detector = None;
}

/// Writes a checkpoint unless a newer one is there.
pub fn save(world: &mut World, node: usize, partition: usize) {
    let Some(saving) = world.nodes[node].shards[partition].saving.take() else { return };
    let stored = &mut world.logs[partition].checkpoint;
    if is_written(stored.map(|stored| u64::from(stored.seq)), u64::from(saving.seq)) {
        *stored = Some(saving);
    }
}

/// Saves a detector of which everything is committed, and forgets it.
pub fn retire(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    shard.saving = shard.detector.take();
}

/// Drops what is committed.
pub fn trim(world: &mut World, node: usize, partition: usize, setting: &Setting) {
    let Some(progress) = world.nodes[node].shards[partition].progress else { return };
    if let Some(keep) = keep_from(trimmed_to(&progress, setting)) {
        world.logs[partition].stored.entries.retain(|entry| entry.at >= keep);
    }
}

fn trimmed_to(progress: &Progress, setting: &Setting) -> thicket_schema::Position {
    if setting.keeps(Rule::TrimAfterCommit) { progress.committed } else { progress.read }
}
