//! Partitions that other nodes should own: the shard finishes with them as at a shutdown, while it
//! goes on with the others.

use std::cell::RefCell;

use actix_rt::task::JoinHandle;
use tokio::sync::oneshot;

use crate::messages::{HandOver, HandedOver};

/// The hand-overs of a shard.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Partitions that the loop may still be processing.
    waiting: RefCell<Vec<(HandOver, oneshot::Sender<HandedOver>)>>,
    /// Waits for commits, and saves detectors: one task for each partition.
    finishing: RefCell<Vec<JoinHandle<()>>>,
}

impl Leaving {
    pub(super) fn add(&self, message: HandOver, sender: oneshot::Sender<HandedOver>) {
        self.waiting.borrow_mut().push((message, sender));
    }

    /// Begins to finish with the partitions that wait. The loop calls it when it has sent everything
    /// that it has read.
    pub(super) fn begin<F: Future<Output = ()> + 'static>(
        &self,
        finish: impl Fn(HandOver, oneshot::Sender<HandedOver>) -> F,
    ) {
        let mut finishing = self.finishing.borrow_mut();
        finishing.retain(|task| !task.is_finished());
        let begun = self.waiting.take().into_iter();
        finishing.extend(begun.map(|(message, sender)| actix_rt::spawn(finish(message, sender))));
    }

    /// Waits for the hand-overs that have begun: they have taken their detectors, and save them.
    pub(super) async fn end(&self) {
        for task in self.finishing.take() {
            // One that has panicked saves no more.
            let _ = task.await;
        }
    }
}
