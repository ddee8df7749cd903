//! How far a shard has come in a partition's log.

use thicket_schema::Position;

/// A shard's place in the log of a partition that it owns under an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Named by every commit.
    pub epoch: i64,
    /// The last entry that was taken up.
    pub read: Position,
    /// The last entry whose outcomes are durable.
    pub committed: Position,
    /// Commits on their way.
    pub in_flight: usize,
}

impl Progress {
    /// Begins at the committed position.
    pub const fn new(epoch: i64, committed: Position) -> Self {
        Self { epoch, read: committed, committed, in_flight: 0 }
    }

    /// Whether an entry is still to be taken up. The partition may have been reopened while it was on its way.
    pub fn wants(&self, entry: Position) -> bool {
        entry > self.read
    }

    /// Moves on to `to`, whose outcomes are now sent to the writer; false if they belong to an earlier ownership of the partition.
    pub fn take_up(&mut self, epoch: i64, to: Position) -> bool {
        if self.epoch != epoch {
            return false;
        }
        self.read = to;
        self.in_flight += 1;
        true
    }

    /// Takes note of a commit; false if it belongs to an earlier ownership of the partition.
    pub fn on_committed(&mut self, epoch: i64, to: Position) -> bool {
        if self.epoch != epoch {
            return false;
        }
        self.in_flight -= 1;
        self.committed = to;
        true
    }
}
