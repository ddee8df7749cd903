//! Partitions that other nodes should own: the shard finishes with them as at a shutdown, while it
//! goes on with the others.

use std::cell::RefCell;
use std::rc::Rc;

use actix_rt::task::JoinHandle;
use tokio::sync::oneshot;

use super::ShardWorker;
use crate::messages::{HandOver, HandedOver};
use crate::shard::partitions::Partition;

/// The hand-overs of a shard.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Partitions that the loop may still be processing.
    waiting: RefCell<Vec<(HandOver, oneshot::Sender<HandedOver>)>>,
    /// Waits for commits, and saves detectors: one task for each partition.
    finishing: RefCell<Vec<JoinHandle<()>>>,
}

impl ShardWorker {
    /// Stops reading a partition that another node should own. Returns a receiver of the answer; the
    /// sender is dropped if this node loses the partition meanwhile.
    pub(in crate::shard) fn stop_reading(&self, message: HandOver) -> oneshot::Receiver<HandedOver> {
        let (sender, finished) = oneshot::channel();
        let HandOver { partition, epoch } = message;
        if self.partitions.change(partition, epoch, |partition| partition.is_leaving = true).is_some() {
            self.leaving.waiting.borrow_mut().push((message, sender));
        }
        finished
    }

    /// Finishes with the partitions that other nodes should own. The loop calls it when it has sent
    /// everything that it has read.
    pub(super) fn finish_leaving(self: &Rc<Self>) {
        let mut finishing = self.leaving.finishing.borrow_mut();
        finishing.retain(|task| !task.is_finished());
        for (message, sender) in self.leaving.waiting.take() {
            let worker = Rc::clone(self);
            finishing.push(actix_rt::spawn(async move { worker.finish(message, sender).await }));
        }
    }

    /// Begins no further hand-over, and waits for those that have begun: they have taken their
    /// detectors, and save them.
    pub(super) async fn end_leaving(&self) {
        self.leaving.waiting.take();
        for task in self.leaving.finishing.take() {
            // One that has panicked saves no more.
            let _ = task.await;
        }
    }

    async fn finish(&self, message: HandOver, finished: oneshot::Sender<HandedOver>) {
        let HandOver { partition, epoch } = message;
        self.partitions.wait_for_commits(partition).await;
        if !self.partitions.is_current(partition, epoch) {
            return;
        }
        self.detectors.save_partition(partition).await;
        if !self.partitions.is_current(partition, epoch) {
            return;
        }
        let is_clean = self.partitions.get(partition, Partition::is_clean).unwrap_or(false);
        self.close(partition);
        // The keeper is gone if the node ends.
        let _ = finished.send(HandedOver { is_clean });
    }
}
