//! How often a field repeats its value, and whether it is *stuck*: it repeats the value far longer than
//! before. A sensor that has failed often does so.
//!
//! Many fields have one value at which they rest, such as a light sensor at night. There they are
//! compared with their own rests, and elsewhere with the rows of all other values.

use serde::{Deserialize, Serialize};

use crate::durations::{beyond, rarity_of_share};

/// A field is not stuck with fewer repetitions than this.
const LEAST_RUN: u32 = 8;

/// A field is stuck if its row of repetitions has a probability of at most one in 10 to this power.
const STUCK: f64 = 6.0;

/// Upper bound of the share of differing readings, for the probability of repetitions.
const ALWAYS_MOVING: f64 = 0.999;

/// The rows of repetitions of one field.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Repetition {
    /// The last value.
    last: f64,
    /// How many readings in a row have repeated the value before them.
    run: u32,
    /// The longest row of repetitions that has ended while no anomaly was open.
    longest: u32,
    /// The value of that row: the one at which the field rests, if there is one.
    rest: f64,
    /// The longest row of repetitions of another value.
    longest_elsewhere: u32,
    /// Number of observed values. A field that joined later has fewer than the sensor has readings.
    observed: u64,
}

impl Repetition {
    /// Creates the past of a field whose last value is this one.
    pub(crate) fn new(last: f64) -> Self {
        Self { last, ..Self::default() }
    }

    /// Observes the field's next value. With `learn`, a row of repetitions that ends here is one of those
    /// that are usual.
    pub(crate) fn observe(&mut self, value: f64, learn: bool) {
        self.observed += 1;
        if differ(value, self.last) {
            if learn {
                self.learn();
            }
            self.run = 0;
        } else {
            self.run = self.run.saturating_add(1);
        }
        self.last = value;
    }

    /// Returns the last value.
    pub(crate) fn last(&self) -> f64 {
        self.last
    }

    /// Returns the value of the longest row of repetitions.
    pub(crate) fn rest(&self) -> f64 {
        self.rest
    }

    /// Returns how many readings in a row have repeated the value before them.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// Returns whether the field is stuck. `restless` is the share of its readings that differ from the
    /// reading before.
    pub(crate) fn is_stuck(&self, restless: f64) -> bool {
        let rarity = -libm::log10(1.0 - restless.min(ALWAYS_MOVING)) * f64::from(self.run);
        self.run >= LEAST_RUN && self.run / 2 > self.usual() && rarity >= STUCK
    }

    /// Returns how rare it is, as −log10 of a share of readings, that a field that is stuck has repeated
    /// its value for so long: it has not happened in `past` readings of the sensor, of which the field may
    /// have fewer.
    pub(crate) fn rarity(&self, past: u64) -> f64 {
        let usual = self.usual().max(LEAST_RUN / 2);
        rarity_of_share(0, past.min(self.observed)) + beyond(self.run, usual)
    }

    /// Returns the longest row of repetitions that the last value is compared with.
    fn usual(&self) -> u32 {
        if differ(self.last, self.rest) { self.longest_elsewhere } else { self.longest }
    }

    /// Learns the row of repetitions that has ended.
    fn learn(&mut self) {
        if !differ(self.last, self.rest) {
            self.longest = self.longest.max(self.run);
        } else if self.run > self.longest {
            self.longest_elsewhere = self.longest;
            (self.rest, self.longest) = (self.last, self.run);
        } else {
            self.longest_elsewhere = self.longest_elsewhere.max(self.run);
        }
    }
}

/// Returns whether two values differ, without any tolerance.
#[allow(clippy::float_cmp)]
pub(crate) fn differ(a: f64, b: f64) -> bool {
    a != b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Scale;

    #[test]
    fn only_more_repetition_than_before_is_stuck() {
        let mut scale = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        let observed: Vec<bool> = (0..40).map(|_| scale.observe(9.0, true)).collect();
        let stuck = observed.iter().position(|&stuck| stuck).unwrap();
        assert!((LEAST_RUN as usize..20).contains(&stuck), "{stuck}");
        scale.observe(10.0, true);
        assert!((0..60).all(|_| !scale.observe(9.0, true)), "it has rested that long before");
    }

    #[test]
    fn a_row_of_repetitions_that_ends_in_an_anomaly_does_not_become_usual() {
        let mut scale = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        let is_stuck_at = |scale: &mut Scale| {
            let observed: Vec<bool> = (0..40).map(|_| scale.observe(9.0, true)).collect();
            observed.iter().position(|&stuck| stuck)
        };
        let first = is_stuck_at(&mut scale);
        assert!(first.is_some());
        scale.observe(10.0, false);
        assert_eq!(is_stuck_at(&mut scale), first);
        scale.observe(10.0, true);
        assert_eq!(is_stuck_at(&mut scale), None);
    }

    #[test]
    fn long_rests_at_one_value_do_not_hide_that_the_field_is_stuck_at_another() {
        let mut scale = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        let mut is_stuck = |value: f64, times: u32| {
            let is_stuck = (0..times).map(|_| scale.observe(value, true)).last();
            (0..6).for_each(|i| {
                scale.observe(f64::from(i), true);
                scale.learn(0.1);
            });
            is_stuck
        };
        assert_eq!(is_stuck(0.0, 500), Some(true), "its first night");
        assert_eq!(is_stuck(0.0, 900), Some(false));
        assert_eq!(is_stuck(7.0, 100), Some(true));
        assert_eq!([is_stuck(7.0, 150), is_stuck(8.0, 150)], [Some(false); 2], "another long row");
        assert_eq!(is_stuck(9.0, 900), Some(true), "rests at 0 are no rows of 9");
    }

    #[test]
    fn a_longer_row_of_repetitions_is_rarer_up_to_a_bound() {
        let mut scale = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        for i in 0..20_000 {
            scale.observe(f64::from(i), true);
        }
        let mut rarity_after = |repetitions: u32| {
            while scale.repetition().run() < repetitions {
                scale.observe(9.0, true);
            }
            scale.repetition().rarity(9_999)
        };
        assert_eq!([8, 16, 32, 1_000].map(&mut rarity_after), [4.0, 4.5, 5.0, 5.0]);

        let mut young = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        for _ in 0..99 {
            young.observe(9.0, true);
        }
        assert_eq!(young.repetition().rarity(9_999), 3.0, "the field has 99 readings");
    }
}
