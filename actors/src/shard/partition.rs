//! A partition as its shard sees it: how far it is read, and how far committed.

use std::sync::Arc;

use thicket_schema::Position;

use crate::detector::DetectorConfigs;

/// The place of a partition in its log.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Named by every commit.
    pub(super) epoch: i64,
    /// The last entry that was taken up.
    pub(super) read: Position,
    /// The last entry whose outcomes are durable.
    pub(super) committed: Position,
    /// How its sensors are configured after what is read.
    pub(super) detectors: Arc<DetectorConfigs>,
    /// Commits on their way.
    pub(super) in_flight: usize,
    /// When the newest committed record arrived, in µs since the Unix epoch.
    pub(super) committed_received: i64,
}

impl Partition {
    /// A partition of which nothing is in flight.
    pub(super) const fn new(epoch: i64, position: Position, detectors: Arc<DetectorConfigs>) -> Self {
        Self { epoch, read: position, committed: position, detectors, in_flight: 0, committed_received: 0 }
    }

    /// Takes note of a commit; false if it belongs to an earlier ownership of the partition.
    pub(super) fn on_committed(&mut self, epoch: i64, to: Position, received: i64) -> bool {
        if self.epoch != epoch {
            return false;
        }
        self.in_flight -= 1;
        self.committed = to;
        self.committed_received = received;
        true
    }
}
