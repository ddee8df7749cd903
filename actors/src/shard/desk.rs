//! What a shard works at: the loop that reads, and what became of what it sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use thicket_schema::{PartitionId, Position};
use tokio::sync::{Notify, oneshot, watch};

use super::partition::{Partition, Readiness};
use super::cache::{DueCheckpoint, DetectorPool, DetectorCache};
use crate::credit::{Credit, CreditPool, send_credited};
use thicket_store::faults;
use crate::messages::{Commit, CommitOutcome, Reopen};
use thicket_protocol::progress::Progress;
use thicket_store::redis::LogReader;
use thicket_store::postgres::CommitBatch;

/// How long a read waits for entries. A partition that is assigned meanwhile is read from then on.
const READ_PATIENCE: Duration = Duration::from_millis(100);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Readings that one read aims at.
const READ_TARGET: u64 = 4_096;
const MOST_ENTRIES: u64 = 256;

/// What the loop, its jobs and its pending commits share. All of it lives on one arbiter; no borrow is held across an
/// await.
pub(super) struct Desk {
    pub(super) label: String,
    pub(super) reader: LogReader,
    pub(super) pool: DetectorPool,
    pub(super) credits: CreditPool,
    pub(super) state: RefCell<State>,
    /// Signalled whenever a commit has been dealt with.
    pub(super) commit_finished: Notify,
}

/// What a restart throws away.
#[derive(Default)]
pub(super) struct State {
    pub(super) partitions: BTreeMap<PartitionId, Partition>,
    pub(super) cache: DetectorCache,
}

impl State {
    /// The partitions that may be read, and from where on.
    fn to_read(&self) -> Vec<(PartitionId, Progress)> {
        let ready = self.partitions.iter().filter(|(_, partition)| partition.readiness != Readiness::Asking);
        ready.map(|(&id, partition)| (id, partition.progress)).collect()
    }
}

impl Desk {
    pub(super) async fn run(self: Rc<Self>, stop: watch::Receiver<bool>) {
        let mut housekeeping = Instant::now();
        let mut entries_per_partition = 16;
        while !*stop.borrow() {
            if housekeeping.elapsed() >= HOUSEKEEPING {
                self.keep_house().await;
                housekeeping = Instant::now();
            }
            let asked = self.state.borrow().to_read();
            let positions: Vec<(PartitionId, Position)> =
                asked.iter().map(|&(id, progress)| (id, progress.read)).collect();
            if positions.is_empty() {
                tokio::time::sleep(READ_PATIENCE).await;
                continue;
            }
            match self.reader.read(&positions, entries_per_partition, READ_PATIENCE).await {
                Ok(read) if read.is_empty() => {}
                Ok(read) => {
                    let entries: usize = read.iter().map(|(_, entries)| entries.len()).sum();
                    let epochs = asked.into_iter().map(|(id, progress)| (id, progress.epoch)).collect();
                    let records = self.process(read, &epochs).await;
                    entries_per_partition = next_count(positions.len() as u64, entries as u64, records);
                }
                Err(error) => {
                    tracing::warn!(%error, shard = self.label, "the log cannot be read; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.finish().await;
    }

    /// Moves the partition's reading on; false if the partition is not what it was when the read began.
    pub(super) fn advance_read(&self, id: PartitionId, epoch: i64, to: Position) -> bool {
        let mut state = self.state.borrow_mut();
        state.partitions.get_mut(&id).is_some_and(|partition| partition.progress.advance_read(epoch, to))
    }

    pub(super) fn send(self: &Rc<Self>, batch: CommitBatch, checkpoints: Vec<DueCheckpoint>, credit: Credit) {
        let (partition, epoch, to) = (batch.partition, batch.epoch, batch.to);
        let received = batch.received.last().copied().unwrap_or_default();
        let losses = batch.losses.clone();
        let checkpoints = if faults::keeps("rule.rows_before_checkpoint") {
            checkpoints
        } else {
            for due in checkpoints {
                self.pool.save_if_room(partition, due);
            }
            Vec::new()
        };
        let (reply, outcome) = oneshot::channel();
        let writers = &self.pool.peers.writers;
        let writer = &writers[usize::from(partition.0) % writers.len()];
        send_credited(writer, Commit { batch, reply, credit });
        let desk = Rc::clone(self);
        actix_rt::spawn(async move {
            let committed = matches!(outcome.await, Ok(CommitOutcome::Committed));
            if committed {
                // Not before: a node that lost the partition reads a log that its new owner has trimmed.
                desk.report_losses(partition, &losses);
                desk.on_committed(partition, epoch, to, received, checkpoints);
            } else {
                desk.on_refused(partition, epoch);
            }
            desk.commit_finished.notify_waiters();
        });
    }

    fn on_committed(
        self: &Rc<Self>,
        id: PartitionId,
        epoch: i64,
        to: Position,
        received: i64,
        checkpoints: Vec<DueCheckpoint>,
    ) {
        let mut state = self.state.borrow_mut();
        let current = state
            .partitions
            .get_mut(&id)
            .is_some_and(|partition| partition.on_committed(epoch, to, received));
        if !current {
            return;
        }
        if let Some(partition) = state.partitions.get_mut(&id)
            && partition.caution().is_some_and(|caution| caution.is_over(to))
        {
            partition.readiness = Readiness::Ready(None);
            self.end_caution(id);
        }
        for due in checkpoints {
            state.cache.note_saved(&due.sensor, due.checkpoint.seq);
            self.pool.save_if_room(id, due);
        }
    }

    /// A commit was refused or its fate is unknown: what the detectors know may not be what the tables hold.
    fn on_refused(&self, id: PartitionId, epoch: i64) {
        let current = self
            .state
            .borrow()
            .partitions
            .get(&id)
            .is_some_and(|partition| partition.progress.epoch == epoch);
        if current {
            self.reopen(id);
        }
    }

    /// Forgets the partition and asks for it anew.
    pub(super) fn reopen(&self, partition: PartitionId) {
        self.close(partition);
        // At most one for each partition until it is assigned again.
        #[expect(clippy::disallowed_methods, reason = "bounded by the number of partitions")]
        self.pool.peers.keeper.do_send(Reopen { partition });
    }

    pub(super) fn close(&self, partition: PartitionId) {
        let mut state = self.state.borrow_mut();
        state.partitions.remove(&partition);
        state.cache.drop_partition(partition);
    }

    /// Waits until no commit of the partition is on its way.
    pub(super) async fn wait_for_commits(&self, partition: PartitionId) {
        loop {
            let commit_finished = self.commit_finished.notified();
            let in_flight = self
                .state
                .borrow()
                .partitions
                .get(&partition)
                .map_or(0, |partition| partition.progress.in_flight);
            if in_flight == 0 {
                return;
            }
            commit_finished.await;
        }
    }
}

/// How many entries of each partition the next read asks for, so that it brings about as many readings as it aims at.
fn next_count(partitions: u64, entries: u64, records: u64) -> u64 {
    let records_per_entry = (records / entries.max(1)).max(1);
    (READ_TARGET / (partitions.max(1) * records_per_entry)).clamp(1, MOST_ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_asks_for_fewer_entries_the_more_they_hold() {
        assert_eq!(next_count(32, 64, 64), 128);
        assert_eq!(next_count(32, 10, 1_000), 1);
        assert_eq!(next_count(1, 0, 0), MOST_ENTRIES);
    }
}
