//! How long a field has been away from the value at which it rests, and whether that is *far longer*
//! than before.
//!
//! Many fields have a value at which they nearly always are: the flow of water is 0 while every tap is
//! closed, and the power of a pump that is off. They leave it for a while, and come back. A tap that is
//! left open, a pipe that leaks, a pump that does not stop: each value is one of the usual ones, and only
//! the return is missing.

use serde::{Deserialize, Serialize};

use crate::durations::{beyond, rarity_of_share};
use crate::repetition::differ;

/// No excursion is long with fewer readings than this.
const LEAST_RUN: u32 = 8;

/// Ended excursions that must be known before one can be too long.
const KNOWN: u32 = 32;

/// Of this many readings before the excursion, all but one at most are at rest. Those at another value that
/// was the resting one do not count, so that a field which rests at two values by turns is never away.
const RESTING: u64 = 8;

/// The excursions of one field from its resting value. All numbers are in readings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Excursion {
    /// The value at which the field rests.
    rest: f64,
    /// The length of the excursion that is going on; 0 at rest.
    run: u32,
    /// The longest excursion that has ended while no anomaly was open.
    longest: u32,
    /// Excursions that have ended.
    ended: u32,
    /// Readings at rest. Another resting value begins to count again.
    at_rest: u64,
    /// All readings.
    observed: u64,
}

impl Excursion {
    /// Observes the field's next value. `rest` is the value at which the field rests. With `learn`, an
    /// excursion that ends here is one of those that are usual.
    pub(crate) fn observe(&mut self, value: f64, rest: f64, learn: bool) {
        if differ(rest, self.rest) {
            *self = Self { rest, observed: self.observed, ..Self::default() };
        }
        self.observed += 1;
        if differ(value, rest) {
            self.run = self.run.saturating_add(1);
            return;
        }
        self.at_rest += 1;
        if self.run > 0 {
            self.ended = self.ended.saturating_add(1);
            if learn {
                self.longest = self.longest.max(self.run);
            }
        }
        self.run = 0;
    }

    /// Returns the value at which the field rests.
    pub(crate) fn rest(&self) -> f64 {
        self.rest
    }

    /// Returns how many readings in a row were away from it.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// Returns whether the field nearly always rests, and is now away for more than twice as long as
    /// before.
    pub(crate) fn is_long(&self) -> bool {
        let before = self.observed - u64::from(self.run);
        self.run >= LEAST_RUN
            && self.run / 2 > self.longest
            && self.ended >= KNOWN
            && RESTING * (before - self.at_rest) <= before
    }

    /// Returns how rare it is, as −log10 of a share of readings, that a field has been away for so long:
    /// it has not happened in `past` readings of the sensor, of which the field may have fewer.
    pub(crate) fn rarity(&self, past: u64) -> f64 {
        let usual = self.longest.max(LEAST_RUN / 2);
        rarity_of_share(0, past.min(self.observed)) + beyond(self.run, usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that rests at 0 and leaves it forty times, for ten readings at most.
    fn restful() -> Excursion {
        let mut excursion = Excursion::default();
        for length in (1..=10).cycle().take(40) {
            leave(&mut excursion, length, true);
        }
        excursion
    }

    /// Leaves the rest for so many readings, and comes back for a hundred. Returns the reading from which
    /// on the excursion is long.
    fn leave(excursion: &mut Excursion, length: u32, learn: bool) -> Option<u32> {
        let mut long_from = None;
        for reading in 1..=length {
            excursion.observe(2.0 + f64::from(reading % 7), 0.0, learn);
            if excursion.is_long() {
                long_from = long_from.or(Some(reading));
            }
        }
        (0..100).for_each(|_| excursion.observe(0.0, 0.0, learn));
        assert!(!excursion.is_long(), "it has come back");
        long_from
    }

    #[test]
    fn an_excursion_of_more_than_twice_the_longest_is_long_until_the_return() {
        let mut excursion = restful();
        assert_eq!(leave(&mut excursion, 21, true), None);
        assert_eq!(leave(&mut excursion, 100, false), Some(44), "21 readings are usual now");
        assert_eq!(leave(&mut excursion, 100, true), Some(44), "an anomaly does not become usual");
        assert_eq!(leave(&mut excursion, 100, true), None);
    }

    #[test]
    fn a_field_that_seldom_rests_has_no_long_excursion() {
        let mut excursion = restful();
        for _ in 0..200 {
            (0..10).for_each(|_| excursion.observe(3.0, 0.0, true));
            (0..20).for_each(|_| excursion.observe(0.0, 0.0, true));
        }
        assert_eq!(leave(&mut excursion, 1_000, true), None);
    }

    #[test]
    fn few_excursions_say_nothing_and_another_rest_begins_again() {
        let mut excursion = Excursion::default();
        (0..31).for_each(|_| assert_eq!(leave(&mut excursion, 3, true), None));
        assert_eq!(leave(&mut excursion.clone(), 50, true), None);
        leave(&mut excursion, 3, true);
        assert_eq!(leave(&mut excursion.clone(), 50, true), Some(8));
        excursion.observe(5.0, 5.0, true);
        (0..50).for_each(|_| excursion.observe(0.0, 5.0, true));
        assert!(!excursion.is_long());
    }

    #[test]
    fn a_longer_excursion_is_rarer_up_to_a_bound() {
        let mut excursion = restful();
        let mut rarity_after = |readings: u32| {
            while excursion.run() < readings {
                excursion.observe(2.0, 0.0, true);
            }
            excursion.rarity(999)
        };
        assert_eq!([20, 40, 80, 1_000].map(&mut rarity_after), [3.0, 3.5, 4.0, 4.0]);
    }
}
