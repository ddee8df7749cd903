//! Counters: the total of a field that counts up becomes its growth per second.
//!
//! A total falls for several reasons, and only the next readings tell which one it was:
//!
//! - *Noise*, of a meter that rounds or jitters: the total falls by less than half. The growth is 0
//!   until the total is above its greatest value again. If it stays below for [`PATIENCE`] readings,
//!   it goes on from there.
//! - *A reset*, also the overflow of a counter of 16 or 32 bits: the total falls to less than half, and
//!   goes on from there. The growth is unknown once. After that, it is the growth since the fall.
//! - *A glitch*, such as a single 0: the total falls to less than half, and then jumps back to the old
//!   total or above, within [`PATIENCE`] readings. The growth is unknown once. At the jump, it is the
//!   growth since the last reading before the fall.

use serde::{Deserialize, Serialize};

/// A total that falls to less than this part has not fallen by noise.
const NOISE: f64 = 0.5;
/// A total that was low for one reading, or near 0 for several, is back if it is at least this part of the
/// old one.
const BACK: f64 = 0.9;
/// Readings after a fall that tell what it was.
const PATIENCE: u8 = 5;

/// A field that only ever counts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Counter {
    /// The reading from which the next growth is counted.
    last: Option<Total>,
    fall: Option<Fall>,
}

/// A total at a time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Total {
    /// In microseconds since 1970.
    ts: i64,
    value: f64,
}

/// A fall of the total. The number of readings counts those since then, with the first one.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Fall {
    /// A small one. The last total is the greatest one.
    Small { readings: u8 },
    /// A great one, from the total `before`.
    Great { before: Total, readings: u8 },
}

impl Counter {
    /// Forgets the last reading: the clock of the sensor has changed.
    pub(crate) fn begin_again(&mut self) {
        *self = Self::default();
    }

    /// Returns the growth per second since the last reading, from 0; NaN if it is unknown. `ts` is in
    /// microseconds since 1970.
    pub(crate) fn growth(&mut self, ts: i64, value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        let now = Total { ts, value };
        let Some(last) = self.last else {
            self.last = Some(now);
            return f64::NAN;
        };
        if let Some(Fall::Great { before, readings }) = self.fall
            && before.is_back(last, now, readings)
        {
            // It was a glitch: the count goes on from the total before it.
            (self.last, self.fall) = (Some(before), None);
            return self.count_from(before, now, None);
        }
        let later = match self.fall {
            Some(Fall::Great { before, readings }) if readings < PATIENCE => {
                Some(Fall::Great { before, readings: readings + 1 })
            }
            _ => None,
        };
        self.count_from(last, now, later)
    }

    /// Counts from one total to the next. `fall` is the great fall that may still be a glitch.
    fn count_from(&mut self, last: Total, now: Total, fall: Option<Fall>) -> f64 {
        if now.value >= last.value {
            (self.last, self.fall) = (Some(now), fall);
            return last.growth_to(now);
        }
        if now.value >= NOISE * last.value {
            let readings = if let Some(Fall::Small { readings }) = self.fall { readings + 1 } else { 1 };
            let goes_on = readings >= PATIENCE;
            let small = (!goes_on).then_some(Fall::Small { readings });
            (self.last, self.fall) = (Some(if goes_on { now } else { last }), fall.or(small));
            return 0.0;
        }
        let great = Fall::Great { before: last, readings: 1 };
        (self.last, self.fall) = (Some(now), Some(fall.unwrap_or(great)));
        f64::NAN
    }
}

impl Total {
    fn growth_to(self, now: Self) -> f64 {
        let growth = (now.value - self.value) / (now.ts.saturating_sub(self.ts).max(1) as f64 / 1e6);
        if growth.is_finite() { growth } else { f64::NAN }
    }

    /// Returns whether a total continues this one after a fall to the total `low`, which has lasted
    /// for this many readings.
    fn is_back(self, low: Self, now: Self, readings: u8) -> bool {
        let was_near_zero = low.value <= (1.0 - BACK) * self.value;
        let enough = if readings == 1 || was_near_zero { BACK * self.value } else { self.value };
        now.value >= enough && low.value < NOISE * now.value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the growths of totals, one a second, from the second one on.
    fn growths(totals: &[f64]) -> Vec<f64> {
        let mut counter = Counter::default();
        let growths =
            totals.iter().zip(0..).map(|(&total, second)| counter.growth(second * 1_000_000, total));
        growths.skip(1).collect()
    }

    #[track_caller]
    fn check(totals: &[f64], expected: &[f64]) {
        assert_eq!(format!("{:?}", growths(totals)), format!("{expected:?}"));
    }

    #[test]
    fn the_first_growth_is_unknown() {
        let mut counter = Counter::default();
        assert!(counter.growth(0, 100.0).is_nan());
        assert_eq!(counter.growth(2_000_000, 110.0), 5.0);
        assert!(counter.growth(3_000_000, f64::NAN).is_nan());
        assert_eq!(counter.growth(4_000_000, 114.0), 2.0);
    }

    #[test]
    fn a_growth_beyond_all_numbers_is_unknown() {
        let mut counter = Counter::default();
        counter.growth(0, -1.7e308);
        assert!(counter.growth(1_000_000, 1.7e308).is_nan());
    }

    #[test]
    fn a_reset_is_a_fall_that_stays() {
        check(&[1_000.0, 1_010.0, 5.0, 15.0, 25.0], &[10.0, f64::NAN, 10.0, 10.0]);
        check(&[65_530.0, 65_535.0, 4.0, 9.0], &[5.0, f64::NAN, 5.0]);
    }

    #[test]
    fn a_small_fall_is_no_growth() {
        check(&[100.0, 99.0, 104.0, 106.0], &[0.0, 2.0, 2.0]);
    }

    #[test]
    fn a_total_that_stays_a_little_lower_goes_on_from_there() {
        check(
            &[1_000.0, 900.0, 901.0, 902.0, 903.0, 904.0, 905.0, 906.0],
            &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0],
        );
    }

    #[test]
    fn a_single_zero_is_a_glitch() {
        check(&[1_000.0, 1_010.0, 0.0, 1_030.0, 1_040.0], &[10.0, f64::NAN, 10.0, 10.0]);
        check(&[1_000.0, 0.0, 0.0, 0.0, 1_040.0, 1_050.0], &[f64::NAN, 0.0, 0.0, 10.0, 10.0]);
        check(&[1_000.0, 0.0, 990.0, 1_030.0], &[f64::NAN, 0.0, 10.0]);
        check(&[1_000.0, 0.0, 0.0, 995.0, 1_040.0], &[f64::NAN, 0.0, 0.0, 10.0]);
    }

    proptest! {
        /// Whatever a counter that grows by at most 10 a second shows in between, no growth is near
        /// its total. Some readings of 0 in a row may hide the growth of as many seconds.
        #[test]
        fn no_fall_makes_a_giant_growth(
            steps in prop::collection::vec((0.0..10.0_f64, 0_u8..20), 1..200),
        ) {
            let (mut total, mut shown) = (5_000.0, vec![5_000.0]);
            let mut zeros = 0;
            for (growth, event) in steps {
                total += growth;
                if event == 0 {
                    total = 0.0;
                }
                // A few readings in a row may be 0; more of them are a reset. One may be a little too low.
                let is_glitch = event == 1 && zeros < PATIENCE;
                zeros = if is_glitch { zeros + 1 } else { 0 };
                shown.push(if is_glitch { 0.0 } else if event == 2 { total * 0.999 } else { total });
            }
            for growth in growths(&shown) {
                prop_assert!(growth.is_nan() || (0.0..=100.0).contains(&growth), "{} {:?}", growth, shown);
            }
        }
    }
}
