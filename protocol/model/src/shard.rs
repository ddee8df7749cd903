//! From the log to the tables: what `shard/`, `detector/restore.rs`, `writer/` and `checkpoint/` of
//! actors do with one partition.

use thicket_protocol::checkpoint::{is_ahead, is_written};
use thicket_protocol::commit::{CommitDecision, Committed, PositionAdvance, decide};
use thicket_protocol::log::{is_gap, keep_from};
use thicket_protocol::progress::Progress;
use thicket_schema::Position;

use crate::event::Action;
use crate::setting::{Rule, Setting};
use crate::world::{Batch, Detector, Row, Shard, Table, World};

/// Adds the events between a log and the tables.
pub fn actions(world: &World, node: usize, partition: usize, setting: &Setting, possible: &mut Vec<Action>) {
    let shard = &world.nodes[node].shards[partition];
    let entries = &world.logs[partition].stored.entries;
    if let (Some((epoch, after)), Some(progress)) = (shard.read_request, shard.progress) {
        let current = progress.is_current(epoch);
        let unread = entries.iter().filter(|entry| entry.at > after).count();
        if current || !setting.keeps(Rule::RepliesAreCurrent) {
            possible.extend((unread > 0).then_some(Action::Score { node, partition, all: true }));
            possible.extend((unread > 1).then_some(Action::Score { node, partition, all: false }));
        }
        possible.extend((!current).then_some(Action::ReadAgain { node, partition }));
    }
    if shard.scored.is_some() {
        possible.push(Action::AdvanceRead { node, partition });
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
            (commit_finished && shard.detector.is_some()).then_some(Action::Evict { node, partition }),
        );
        let keep = keep_from(trimmed_to(&progress, setting));
        if keep.is_some_and(|keep| entries.iter().any(|entry| entry.at < keep)) {
            possible.push(Action::Trim { node, partition });
        }
    }
}

/// Requests the entries after the last one that was read.
pub fn read(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    shard.read_request = shard.progress.map(|progress| (progress.epoch, progress.read));
}

/// Receives the reply of Redis to a read, all of it or its first entry, and scores the entries.
pub fn score(world: &mut World, node: usize, partition: usize, all: bool, setting: &Setting) {
    let shard = &world.nodes[node].shards[partition];
    let (Some((_, after)), Some(progress)) = (shard.read_request, shard.progress) else { return };
    let reply = world.logs[partition].stored.entries.iter().filter(|entry| entry.at > after);
    let reply = reply.take(if all { usize::MAX } else { 1 });
    let entries: Vec<_> = reply.filter(|entry| progress.is_unread(entry.at)).copied().collect();
    world.nodes[node].shards[partition].read_request = None;
    if entries.is_empty() {
        return read(world, node, partition);
    }
    let mut detector = match world.nodes[node].shards[partition].detector {
        Some(detector) => detector,
        None => restore(world, node, partition),
    };
    let (mut scored, mut late, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = progress.read;
    for entry in entries {
        if is_gap(last, entry.predecessor) && setting.keeps(Rule::LossesAreReported) {
            losses.push((last, entry.at));
        }
        let score = detector.apply(entry.reading);
        let rows = if score.is_some() { &mut scored } else { &mut late };
        rows.push(Row { reading: entry.reading, score, at: entry.at });
        last = entry.at;
    }
    let shard = &mut world.nodes[node].shards[partition];
    shard.detector = Some(detector);
    let Progress { epoch, read: from, .. } = progress;
    shard.scored =
        Some(Batch { epoch, from, to: last, scored, late, losses, after: detector, left_behind: false });
}

/// Restores a detector: the newest checkpoint that the rows cover, and the rows after it, applied
/// again. A checkpoint that is ahead of the rows is deleted.
fn restore(world: &mut World, node: usize, partition: usize) -> Detector {
    let rows = &world.tables[partition].rows;
    let scores: Vec<_> = rows.iter().filter(|row| row.score.is_some()).collect();
    let newest = Some(scores.len() as u64);
    let saved = world.nodes[node].shards[partition].saving.or(world.logs[partition].checkpoint);
    let usable = saved.filter(|saved| !is_ahead(u64::from(saved.seq), newest));
    if usable.is_none() {
        world.logs[partition].checkpoint = None;
    }
    let mut detector = usable.unwrap_or_default();
    for row in scores.into_iter().skip(usize::from(detector.seq)) {
        if detector.apply(row.reading) != row.score {
            world.wrong = Some("a restore computes other scores than the stored ones");
        }
    }
    detector
}

/// Sends the scored batch to the writer. If the partition was reopened meanwhile, drops the batch.
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
    read(world, node, partition);
}

/// Runs the transaction of the oldest batch.
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
        return on_rejected(shard, batch.epoch);
    }
    let current =
        shard.progress.as_mut().is_some_and(|progress| progress.on_committed(batch.epoch, batch.to));
    if current && setting.keeps(Rule::RowsBeforeCheckpoint) {
        shard.saving = Some(batch.after);
    }
}

/// Applies a batch to the tables, if the protocol allows it.
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
        *wrong = Some("a node commits to a partition of another node");
    }
    if batch.left_behind {
        batch.left_behind = false;
        table.position = batch.to;
        return decision;
    }
    for row in &batch.scored {
        if table.rows.iter().any(|stored| stored.reading == row.reading) {
            *wrong = Some("a scored row is stored already");
        }
        table.rows.push(*row);
    }
    for row in &batch.late {
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

/// Makes the writer return its batches without another try.
pub fn refuse(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    for batch in std::mem::take(&mut shard.commits) {
        on_rejected(shard, batch.epoch);
    }
}

fn on_rejected(shard: &mut Shard, epoch: i64) {
    if shard.progress.is_some_and(|progress| progress.epoch == epoch) {
        close(shard);
    }
}

/// Forgets the partition. A read, a scored batch and commits that are in flight are not cancelled.
pub fn close(shard: &mut Shard) {
    shard.progress = None;
    shard.detector = None;
}

/// Writes a checkpoint, unless a newer one is stored.
pub fn save(world: &mut World, node: usize, partition: usize) {
    let Some(saving) = world.nodes[node].shards[partition].saving.take() else { return };
    let stored = &mut world.logs[partition].checkpoint;
    if is_written(stored.map(|stored| u64::from(stored.seq)), u64::from(saving.seq)) {
        *stored = Some(saving);
    }
}

/// Removes a detector from memory and saves it. All of its readings are committed.
pub fn evict(world: &mut World, node: usize, partition: usize) {
    let shard = &mut world.nodes[node].shards[partition];
    shard.saving = shard.detector.take();
}

/// Deletes committed entries from the log.
pub fn trim(world: &mut World, node: usize, partition: usize, setting: &Setting) {
    let Some(progress) = world.nodes[node].shards[partition].progress else { return };
    if let Some(keep) = keep_from(trimmed_to(&progress, setting)) {
        world.logs[partition].stored.entries.retain(|entry| entry.at >= keep);
    }
}

fn trimmed_to(progress: &Progress, setting: &Setting) -> Position {
    if setting.keeps(Rule::TrimAfterCommit) { progress.committed } else { progress.read }
}
