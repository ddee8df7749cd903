//! Partitions that this build cannot process. They are left to nodes of a later build.

use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Context, Handler, ResponseFuture};
use thicket_schema::{PartitionId, Position};

use super::PartitionKeeper;
use super::stores::record_and_release;
use crate::messages::Refuse;

/// Time until a partition that was left to a later build is tried again.
const REFUSED_FOR: Duration = Duration::from_mins(1);

/// Why this node does not own a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A later version of the detection algorithm has scored it.
    Algorithm,
    /// A later build has written an entry of its log. The partition is tried again from time to
    /// time: a later build may have processed the entry, and may have stopped. This node may own the
    /// partition meanwhile: until it has read the entry again, or has gone past it.
    Entry {
        /// Position of the entry. Each is logged once.
        entry: Position,
        /// When the partition is tried again. If this node owns the partition by then, it has gone
        /// past the entry.
        until: Instant,
    },
}

impl PartitionKeeper {
    /// Ends the refusals of partitions that this node has owned for long enough to have gone past the
    /// entry. Redis may have lost the entry.
    pub(super) fn end_refusals(&mut self) {
        let (owned, now, before) = (&self.owned, Instant::now(), self.refused.len());
        self.refused.retain(|partition, refusal| match refusal {
            Refusal::Entry { until, .. } => now < *until || !owned.contains_key(partition),
            Refusal::Algorithm => true,
        });
        if self.refused.len() < before {
            self.count_refused();
        }
    }

    pub(super) fn count_refused(&self) {
        self.stores.metrics.partitions_refused.set(self.refused.len() as i64);
    }

    pub(super) fn is_refused(&self, partition: PartitionId, now: Instant) -> bool {
        match self.refused.get(&partition) {
            Some(Refusal::Algorithm) => true,
            Some(Refusal::Entry { until, .. }) => now < *until,
            None => false,
        }
    }

    /// Notes a claim: the partition is not refused any more, unless its entry is still to be read.
    pub(super) fn note_claimed(&mut self, partition: PartitionId, position: Position) {
        match self.refused.get_mut(&partition) {
            Some(Refusal::Entry { entry, until }) if position < *entry => {
                *until = Instant::now() + REFUSED_FOR;
            }
            _ => drop(self.refused.remove(&partition)),
        }
    }
}

impl Handler<Refuse> for PartitionKeeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, refused: Refuse, _: &mut Context<Self>) -> Self::Result {
        let Refuse { partition, epoch, entry, cause, is_clean } = refused;
        if self.owned.get(&partition) != Some(&epoch) {
            return Box::pin(std::future::ready(()));
        }
        self.owned.remove(&partition);
        let refusal = Refusal::Entry { entry, until: Instant::now() + REFUSED_FOR };
        let before = self.refused.insert(partition, refusal);
        self.count_refused();
        self.stores.metrics.leases.lost(&self.stores.keys.lease(partition));
        if !matches!(before, Some(Refusal::Entry { entry: before, .. }) if before == entry) {
            tracing::error!(%partition, %entry, error = %cause, "a newer build has written the next entry of this partition; this node leaves the partition to a node of that build");
        }
        let stores = Rc::clone(&self.stores);
        // Everything before the entry is committed.
        let clean = is_clean.then_some((partition, epoch)).into_iter().collect();
        Box::pin(async move { record_and_release(&stores, &clean, &[partition]).await })
    }
}
