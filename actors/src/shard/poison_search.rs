//! How warily a partition is processed whose last owner did not give it back: it may have died of what comes next. Pure.
//!
//! At first each range is written down before it is scored. If the owner dies of one, the next goes through that range reading by
//! reading, each written down. A reading of which [`DEATHS`] owners have died is skipped by verdict.

use thicket_schema::{RecordPosition, Position};

use thicket_store::redis::Suspect;

/// So many processes may die while they apply a reading, until it is held to be the cause. One may be a coincidence.
pub(super) const DEATHS: u32 = 2;

/// What is suspected of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoisonSearch {
    /// Everything beyond this entry came after the death.
    until: Position,
    narrow: Option<Narrow>,
}

/// A range of which an owner died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Narrow {
    after: Position,
    to: Position,
    /// The reading that it was at, and how many have died there.
    suspect: Option<(RecordPosition, u32)>,
}

impl PoisonSearch {
    /// What there is to suspect between the committed position and the log's newest entry; nothing if there is no such entry.
    pub(super) fn new(
        record: Option<Suspect>,
        committed: Position,
        newest: Option<Position>,
    ) -> Option<Self> {
        let until = newest.filter(|&newest| newest > committed)?;
        let narrow = match record {
            Some(Suspect::LogRange { after, to }) => Some(Narrow { after, to, suspect: None }),
            Some(Suspect::Reading { at, to, deaths }) => {
                let after = Position { n: at.position.n.saturating_sub(1), ..at.position };
                Some(Narrow { after, to, suspect: Some((at, deaths)) })
            }
            None => None,
        };
        Some(Self { until, narrow: narrow.filter(|narrow| narrow.to > committed) })
    }

    /// The last entry that a range beginning with entry `first` may take in, so that what is to be gone through reading by reading stands
    /// suspect_lock.
    pub(super) fn limit(&self, first: Position) -> Option<Position> {
        let Narrow { after, to, .. } = self.narrow?;
        [after, to].into_iter().find(|&end| first <= end)
    }

    /// Whether the range beginning with entry `first` is gone through reading by reading.
    pub(super) fn is_one_by_one(&self, first: Position) -> bool {
        self.narrow.is_some_and(|narrow| narrow.after < first && first <= narrow.to)
    }

    /// How many processes have died of a reading.
    pub(super) fn deaths(&self, place: RecordPosition) -> u32 {
        let suspect = self.narrow.and_then(|narrow| narrow.suspect);
        suspect.filter(|&(at, _)| at == place).map_or(0, |(_, deaths)| deaths)
    }

    /// Whether there is nothing left to suspect.
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
    fn after_a_death_everything_in_the_log_is_suspected_at_first() {
        assert_eq!(PoisonSearch::new(None, at(5), Some(at(5))), None);
        assert_eq!(PoisonSearch::new(None, at(5), None), None);
        let caution = PoisonSearch::new(None, at(5), Some(at(9))).unwrap();
        assert_eq!(caution.limit(at(6)), None);
        assert!(!caution.is_one_by_one(at(6)));
        assert!(!caution.is_over(at(8)) && caution.is_over(at(9)));
    }

    #[test]
    fn after_another_only_the_stretch_that_it_happened_in_is_gone_through_reading_by_reading() {
        let record = Suspect::LogRange { after: at(6), to: at(8) };
        let caution = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(caution.limit(at(6)), Some(at(6)));
        assert!(!caution.is_one_by_one(at(6)));
        assert_eq!(caution.limit(at(7)), Some(at(8)));
        assert!(caution.is_one_by_one(at(7)) && caution.is_one_by_one(at(8)) && !caution.is_one_by_one(at(9)));
        assert_eq!(caution.limit(at(9)), None);
    }

    #[test]
    fn deaths_are_those_of_one_reading() {
        let place = RecordPosition { position: at(7), item: 2 };
        let record = Suspect::Reading { at: place, to: at(8), deaths: 2 };
        let caution = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(caution.deaths(place), 2);
        assert_eq!(caution.deaths(RecordPosition { item: 1, ..place }), 0);
        assert!(caution.is_one_by_one(at(7)) && !caution.is_one_by_one(at(6)));
    }

    #[test]
    fn a_death_at_the_first_entry_of_a_generation_is_narrow_from_there_on() {
        let place = RecordPosition { position: at(1), item: 0 };
        let record = Suspect::Reading { at: place, to: at(1), deaths: 1 };
        let caution = PoisonSearch::new(Some(record), Position::default(), Some(at(4))).unwrap();
        assert_eq!(caution.limit(at(1)), Some(at(1)));
        assert!(caution.is_one_by_one(at(1)));
    }

    #[test]
    fn what_is_committed_is_not_suspected() {
        let record = Suspect::LogRange { after: at(2), to: at(5) };
        let caution = PoisonSearch::new(Some(record), at(5), Some(at(9))).unwrap();
        assert_eq!(caution, PoisonSearch::new(None, at(5), Some(at(9))).unwrap());
    }
}
