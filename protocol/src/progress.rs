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

    /// Whether an answer is to a question that was asked under this epoch. If the partition was reopened while the answer was on its way, it follows
    /// on an entry that was taken up before, not on the one where the partition begins now.
    pub const fn is_answered(&self, asked_under: i64) -> bool {
        self.epoch == asked_under
    }

    /// Whether an entry is still to be taken up.
    pub fn is_unread(&self, entry: Position) -> bool {
        entry > self.read
    }

    /// Moves on to `to`, whose outcomes are now sent to the writer; false if they belong to an earlier ownership of the partition.
    pub fn advance_read(&mut self, epoch: i64, to: Position) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { generation: 7, n }
    }

    #[test]
    fn what_was_asked_before_a_reopening_is_no_answer_after_it() {
        let mut progress = Progress::new(5, at(2));
        assert!(progress.advance_read(5, at(4)));
        let asked_under = progress.epoch;
        assert!(progress.is_answered(asked_under) && progress.is_unread(at(5)));
        // The commit of 3 and 4 was refused. What follows on 4 would pass them over.
        let reopened = Progress::new(6, at(2));
        assert!(!reopened.is_answered(asked_under) && reopened.is_unread(at(5)));
    }

    #[test]
    fn what_belongs_to_an_earlier_ownership_moves_nothing() {
        let mut progress = Progress::new(6, at(2));
        let before = progress;
        assert!(!progress.advance_read(5, at(4)) && !progress.on_committed(5, at(4)));
        assert_eq!(progress, before);
    }
}
