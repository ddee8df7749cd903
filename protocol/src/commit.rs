//! Decides whether a batch may be committed: the rule that makes one transaction the commit point.

use thicket_schema::Position;

/// How a batch advances its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PositionAdvance {
    /// The epoch of the partition's owner.
    pub epoch: i64,
    /// The position that the batch builds on.
    pub from: Position,
    /// The position that the batch leads to.
    pub to: Position,
}

/// The committed state of a partition in `PostgreSQL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    /// The fencing epoch: every takeover raises it.
    pub epoch: i64,
    /// The last entry whose outcomes are durable.
    pub position: Position,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitDecision {
    /// The batch follows the committed position: apply it.
    Apply,
    /// The batch is committed already: the reply to an earlier try was lost.
    AlreadyApplied,
    /// Another owner has advanced the partition: refuse the batch.
    Fenced,
}

/// Decides what to do with a batch. `committed` is the state of its partition after the batches
/// before it, or `None` if the partition is unknown.
pub fn decide(advance: PositionAdvance, committed: Option<Committed>) -> CommitDecision {
    match committed {
        Some(at) if at.epoch == advance.epoch && at.position == advance.from => CommitDecision::Apply,
        Some(at) if at.epoch == advance.epoch && at.position >= advance.to => CommitDecision::AlreadyApplied,
        _ => CommitDecision::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { generation: 7, n }
    }

    fn advance(from: u64, to: u64) -> PositionAdvance {
        PositionAdvance { epoch: 5, from: at(from), to: at(to) }
    }

    #[test]
    fn a_batch_that_follows_the_committed_position_is_applied() {
        assert_eq!(
            decide(advance(4, 9), Some(Committed { epoch: 5, position: at(4) })),
            CommitDecision::Apply
        );
    }

    #[test]
    fn a_batch_whose_reply_was_lost_is_already_applied() {
        assert_eq!(
            decide(advance(4, 9), Some(Committed { epoch: 5, position: at(9) })),
            CommitDecision::AlreadyApplied
        );
    }

    #[test]
    fn another_epoch_a_gap_and_an_unknown_partition_are_fenced() {
        assert_eq!(
            decide(advance(4, 9), Some(Committed { epoch: 6, position: at(4) })),
            CommitDecision::Fenced
        );
        assert_eq!(
            decide(advance(4, 9), Some(Committed { epoch: 5, position: at(3) })),
            CommitDecision::Fenced
        );
        assert_eq!(decide(advance(4, 9), None), CommitDecision::Fenced);
    }
}
