//! Partitions that this build cannot process. They are left to nodes of a later build.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thicket_schema::{PartitionId, Position};

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

impl Refusal {
    /// Returns the refusal of a partition from now on, because of an entry of its log.
    pub(super) fn of_entry(entry: Position) -> Self {
        Self::Entry { entry, until: Instant::now() + REFUSED_FOR }
    }
}

/// The refused partitions.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<PartitionId, Refusal>);

impl Refusals {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a refusal. Returns whether it has another cause than the one before.
    pub(super) fn add(&mut self, partition: PartitionId, refusal: Refusal) -> bool {
        let before = self.0.insert(partition, refusal);
        !matches!(
            (before, refusal),
            (Some(Refusal::Entry { entry: before, .. }), Refusal::Entry { entry, .. }) if before == entry
        )
    }

    /// Whether this node leaves a partition to others now.
    pub(super) fn contains(&self, partition: PartitionId, now: Instant) -> bool {
        match self.0.get(&partition) {
            Some(Refusal::Algorithm) => true,
            Some(Refusal::Entry { until, .. }) => now < *until,
            None => false,
        }
    }

    /// Notes a claim: the partition is not refused any more, unless its entry is still to be read.
    pub(super) fn note_claimed(&mut self, partition: PartitionId, position: Position) {
        match self.0.get_mut(&partition) {
            Some(Refusal::Entry { entry, until }) if position < *entry => {
                *until = Instant::now() + REFUSED_FOR;
            }
            _ => drop(self.0.remove(&partition)),
        }
    }

    /// Ends the refusals of partitions that this node has owned for long enough to have gone past the
    /// entry. Redis may have lost the entry.
    pub(super) fn end(&mut self, owned: &BTreeMap<PartitionId, i64>) {
        let now = Instant::now();
        self.0.retain(|partition, refusal| match refusal {
            Refusal::Entry { until, .. } => now < *until || !owned.contains_key(partition),
            Refusal::Algorithm => true,
        });
    }
}
