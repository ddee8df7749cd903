//! How far a shard has read the log of a partition, and how far it is committed: Kafka's position
//! and committed offset.

use thicket_schema::Position;

/// The progress of a shard in the log of a partition that it owns under an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The fencing epoch. Every commit names it.
    pub epoch: i64,
    /// The last entry that was read.
    pub read: Position,
    /// The last entry whose outcomes are durable.
    pub committed: Position,
    /// Number of commits without a reply.
    pub in_flight: usize,
}

impl Progress {
    /// Begins at the committed position.
    pub const fn new(epoch: i64, committed: Position) -> Self {
        Self { epoch, read: committed, committed, in_flight: 0 }
    }

    /// Returns whether a reply of Redis belongs to a read under this epoch. A reply to an earlier
    /// read follows another entry: the partition was reopened meanwhile, at another position.
    pub const fn is_current(&self, read_under: i64) -> bool {
        self.epoch == read_under
    }

    /// Returns whether an entry has not been read yet.
    pub fn is_unread(&self, entry: Position) -> bool {
        entry > self.read
    }

    /// Advances the read position to `to`, when the outcomes up to there are sent to the writer.
    /// Returns false if they belong to an earlier ownership of the partition.
    pub fn advance_read(&mut self, epoch: i64, to: Position) -> bool {
        if self.epoch != epoch {
            return false;
        }
        self.read = to;
        self.in_flight += 1;
        true
    }

    /// Records a commit. Returns false if it belongs to an earlier ownership of the partition.
    pub fn on_committed(&mut self, epoch: i64, to: Position) -> bool {
        if self.epoch != epoch {
            return false;
        }
        self.in_flight -= 1;
        self.committed = to;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { generation: 7, n }
    }

    #[test]
    fn a_reply_to_a_read_before_a_reopening_is_not_current() {
        let mut progress = Progress::new(5, at(2));
        assert!(progress.advance_read(5, at(4)));
        let read_under = progress.epoch;
        assert!(progress.is_current(read_under) && progress.is_unread(at(5)));
        // The commit of 3 and 4 was refused. A reply that follows 4 would skip them.
        let reopened = Progress::new(6, at(2));
        assert!(!reopened.is_current(read_under) && reopened.is_unread(at(5)));
    }

    #[test]
    fn a_commit_of_an_earlier_ownership_changes_nothing() {
        let mut progress = Progress::new(6, at(2));
        let before = progress;
        assert!(!progress.advance_read(5, at(4)) && !progress.on_committed(5, at(4)));
        assert_eq!(progress, before);
    }
}
