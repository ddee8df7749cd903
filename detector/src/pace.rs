//! How fast a field changes its value: the time that its last changes took together.

use serde::{Deserialize, Serialize};

use crate::durations::Durations;

/// Changes whose time is measured together.
const CHANGES: usize = 4;
/// Times that must be known before one can be too short.
const KNOWN: u64 = 32;

/// The times that [`CHANGES`] changes in a row took.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Pace {
    /// Timestamps of the last changes, in microseconds since 1970, the oldest first.
    last: Vec<i64>,
    times: Durations,
}

impl Pace {
    /// Returns how rare it is that the last changes and one at `ts` take so short a time.
    pub(crate) fn rarity(&self, ts: i64) -> f64 {
        self.time(ts)
            .filter(|_| self.times.count() >= KNOWN)
            .map_or(0.0, |time| self.times.rarity_of_short(time))
    }

    /// Follows a change, and learns its time if `learn` is true.
    pub(crate) fn follow(&mut self, ts: i64, learn: bool) {
        if let Some(time) = self.time(ts) {
            if learn {
                self.times.add(time);
            }
            self.last.remove(0);
        }
        self.last.push(ts);
    }

    /// Forgets the last changes: a silence may hide others.
    pub(crate) fn begin_again(&mut self) {
        self.last.clear();
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.last.len() <= CHANGES && self.times.is_sound()
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.last.capacity() * size_of::<i64>() + self.times.memory_usage()
    }

    fn time(&self, ts: i64) -> Option<u64> {
        (self.last.len() == CHANGES).then(|| ts.abs_diff(self.last[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_come_too_fast_are_rare() {
        let mut pace = Pace::default();
        let mut ts = 0;
        for i in 0..200 {
            ts += if i % 2 == 0 { 94_000_000 } else { 6_000_000 };
            assert!(pace.rarity(ts) < 0.5, "{i}");
            pace.follow(ts, true);
        }
        for _ in 0..4 {
            ts += 5_000_000;
            pace.follow(ts, false);
        }
        assert!(pace.rarity(ts + 5_000_000) > 3.0);
        pace.begin_again();
        assert_eq!(pace.rarity(ts + 5_000_000), 0.0);
        assert!(pace.is_sound() && pace.memory_usage() < 200);
    }
}
