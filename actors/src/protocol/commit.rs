//! Whether outcomes may be committed: the rule that makes one transaction per stretch of the log the commit point.

use thicket_schema::Position;

/// The stretch of a log whose outcomes are to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// The epoch under which its owner works.
    pub epoch: i64,
    /// The position that it builds on.
    pub from: Position,
    /// The position that it leads to.
    pub to: Position,
}

/// A partition as `PostgreSQL` knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    /// Raised by every takeover.
    pub epoch: i64,
    /// The last entry whose outcomes are durable.
    pub position: Position,
}

/// What is to be done with a step, in the light of what `PostgreSQL` says of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It follows on what is committed.
    Next,
    /// It is committed: an earlier reply was lost.
    Done,
    /// Somebody else moved the partition.
    Fenced,
}

/// Where a step stands. `committed` is where its predecessors leave the partition.
pub fn standing(step: Step, committed: Option<Committed>) -> Standing {
    match committed {
        Some(at) if at.epoch == step.epoch && at.position == step.from => Standing::Next,
        Some(at) if at.epoch == step.epoch && at.position >= step.to => Standing::Done,
        _ => Standing::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { generation: 7, n }
    }

    fn step(from: u64, to: u64) -> Step {
        Step { epoch: 5, from: at(from), to: at(to) }
    }

    #[test]
    fn a_step_that_follows_on_is_next() {
        assert_eq!(standing(step(4, 9), Some(Committed { epoch: 5, position: at(4) })), Standing::Next);
    }

    #[test]
    fn a_step_whose_reply_was_lost_is_done() {
        assert_eq!(standing(step(4, 9), Some(Committed { epoch: 5, position: at(9) })), Standing::Done);
    }

    #[test]
    fn another_epoch_a_gap_and_an_unknown_partition_are_fenced() {
        assert_eq!(standing(step(4, 9), Some(Committed { epoch: 6, position: at(4) })), Standing::Fenced);
        assert_eq!(standing(step(4, 9), Some(Committed { epoch: 5, position: at(3) })), Standing::Fenced);
        assert_eq!(standing(step(4, 9), None), Standing::Fenced);
    }
}
