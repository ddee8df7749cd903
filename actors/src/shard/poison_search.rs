//! Finds the reading that kills the process, step by step over restarts. Pure.
//!
//! After an owner that did not shut down cleanly, the next owner records each range of the log
//! before it scores the range. If the process dies, the next owner scores that range one reading at
//! a time, and records each reading before it scores the reading. A reading on which [`DEATHS`]
//! owners have died is quarantined.

use thicket_schema::{PartitionId, Position, RecordPosition};
use thicket_store::redis::Suspect;

/// Deaths of a process on the same reading until the reading counts as the cause. One death may be
/// a coincidence.
pub(super) const DEATHS: u32 = 2;

/// The suspected entries of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoisonSearch {
    /// The last suspected entry. Later entries were not in the log at the time of the crash.
    until: Position,
    /// The range on which an owner died, if one was recorded.
    one_by_one: Option<OneByOne>,
}

/// A range on which an owner died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OneByOne {
    after: Position,
    to: Position,
    /// The reading on which an owner died, if one was recorded, and how many owners have died on
    /// it.
    suspect: Option<(RecordPosition, u32)>,
}

/// A range that is scored one reading at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct SuspectRange {
    pub(super) partition: PartitionId,
    pub(super) search: PoisonSearch,
    /// The last entry before the range.
    pub(super) after: Position,
    /// The last entry of the range.
    pub(super) to: Position,
}

impl PoisonSearch {
    /// Creates the search from the record of the last owner, the committed position and the newest
    /// entry of the log. Returns `None` if there is no entry after the committed position.
    pub(super) fn new(
        record: Option<Suspect>,
        committed: Position,
        newest: Option<Position>,
    ) -> Option<Self> {
        let until = newest.filter(|&newest| newest > committed)?;
        let one_by_one = match record {
            Some(Suspect::Range { after, to }) => Some(OneByOne { after, to, suspect: None }),
            Some(Suspect::Reading { at, to, deaths }) => {
                let after = Position { n: at.position.n.saturating_sub(1), ..at.position };
                Some(OneByOne { after, to, suspect: Some((at, deaths)) })
            }
            None => None,
        };
        Some(Self { until, one_by_one: one_by_one.filter(|range| range.to > committed) })
    }

    /// Returns the last entry that a read range beginning with entry `first` may include, so that
    /// no range is partly inside the suspected range. `None` means no limit.
    pub(super) fn limit(&self, first: Position) -> Option<Position> {
        let OneByOne { after, to, .. } = self.one_by_one?;
        [after, to].into_iter().find(|&end| first <= end)
    }

    /// Whether the range beginning with entry `first` is scored one reading at a time.
    pub(super) fn is_one_by_one(&self, first: Position) -> bool {
        self.one_by_one.is_some_and(|range| range.after < first && first <= range.to)
    }

    /// Returns how many processes have died on a reading.
    pub(super) fn deaths(&self, position: RecordPosition) -> u32 {
        let suspect = self.one_by_one.and_then(|range| range.suspect);
        suspect.filter(|&(at, _)| at == position).map_or(0, |(_, deaths)| deaths)
    }

    /// Whether all suspected entries are committed.
    pub(super) fn is_over(&self, committed: Position) -> bool {
        committed >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Position {
        Position { generation: 3, n }
    }

    #[test]
    fn after_a_first_death_all_entries_of_the_log_are_suspected() {
        assert_eq!(PoisonSearch::new(None, at(5), Some(at(5))), None);
        assert_eq!(PoisonSearch::new(None, at(5), None), None);
        let search = PoisonSearch::new(None, at(5), Some(at(9))).unwrap();
        assert_eq!(search.limit(at(6)), None);
        assert!(!search.is_one_by_one(at(6)));
        assert!(!search.is_over(at(8)) && search.is_over(at(9)));
    }

    #[test]
    fn after_another_death_only_its_range_is_scored_one_by_one() {
        let record = Suspect::Range { after: at(6), to: at(8) };
        let search = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(search.limit(at(6)), Some(at(6)));
        assert!(!search.is_one_by_one(at(6)));
        assert_eq!(search.limit(at(7)), Some(at(8)));
        assert!(search.is_one_by_one(at(7)) && search.is_one_by_one(at(8)) && !search.is_one_by_one(at(9)));
        assert_eq!(search.limit(at(9)), None);
    }

    #[test]
    fn deaths_are_those_of_one_reading() {
        let position = RecordPosition { position: at(7), item: 2 };
        let record = Suspect::Reading { at: position, to: at(8), deaths: 2 };
        let search = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(search.deaths(position), 2);
        assert_eq!(search.deaths(RecordPosition { item: 1, ..position }), 0);
        assert!(search.is_one_by_one(at(7)) && !search.is_one_by_one(at(6)));
    }

    #[test]
    fn a_death_at_the_first_entry_of_a_generation_is_searched_from_that_entry() {
        let position = RecordPosition { position: at(1), item: 0 };
        let record = Suspect::Reading { at: position, to: at(1), deaths: 1 };
        let search = PoisonSearch::new(Some(record), Position::default(), Some(at(4))).unwrap();
        assert_eq!(search.limit(at(1)), Some(at(1)));
        assert!(search.is_one_by_one(at(1)));
    }

    #[test]
    fn committed_entries_are_not_suspected() {
        let record = Suspect::Range { after: at(2), to: at(5) };
        let search = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(search, PoisonSearch::new(None, at(5), Some(at(9))).unwrap());
    }
}
