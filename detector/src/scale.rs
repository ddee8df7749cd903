//! A field's running scale: converts its values to coordinates of the forest, and gives the field
//! its weight.
//!
//! A random cut forest cuts the widest dimension most often, so a field in hertz would drown a
//! field of ratios. Three means correct that, for units of any size and offset:
//!
//! - *Coordinates.* The first readings fix an offset (their median) and a unit (a power of two near
//!   their spread). The coordinate of a value is `(value − offset) / unit`, computed in `f64`,
//!   before the forest keeps it as `f32`. So the forest can distinguish 1e9 + 0.01 from 1e9, and
//!   multiplying a field by a power of two changes no score at all.
//! - *Spread.* A running standard deviation of the coordinates, over about as many readings as the
//!   forest's memory spans. The field's cuts are weighed by 1 / spread.
//! - *Noise floor.* A field that hardly ever moves has almost no spread, so its first tiny change
//!   would look infinite. While fewer than one reading in 64 differs from its predecessor, the
//!   forest does not see changes below [`FLOOR`] of the field's magnitude.
//!
//! A scale also detects a field that is *stuck*: it repeats its value far longer than before. A
//! sensor that has failed often does so. Many fields have one value at which they rest, such as a light
//! sensor at night. There they are compared with their own rests.

use serde::{Deserialize, Serialize};

use crate::durations::rarity_of_share;
use crate::spread::Spread;

/// Readings that fix the offsets and units.
pub(crate) const CALIBRATION_ROWS: usize = 16;

/// A first value farther than this many spreads from the median is implausible.
const FIRST_REACH: f64 = 50.0;

/// Noise floor of a field that hardly moves, as a part of its magnitude.
const FLOOR: f64 = 1e-3;

/// A residual below this part of a field's spread is only rounding.
const ROUNDING: f64 = 1e-3;

/// A field is restless if at least this share of its readings differ from the reading before.
const RESTLESS: f64 = 1.0 / 64.0;

/// A field is not stuck with fewer repetitions than this.
const LEAST_RUN: u32 = 8;

/// A field is stuck if its row of repetitions has a probability of at most one in 10 to this power.
const STUCK: f64 = 6.0;

/// The rarity of a field that is stuck grows by this much with each doubling of its row of repetitions,
/// from twice the longest one that has ended ...
const PER_DOUBLING: f64 = 0.5;
/// ... by this much at most.
const MOST_BEYOND: f64 = 1.0;

/// Upper bound of the share of differing readings, for the probability of repetitions.
const ALWAYS_MOVING: f64 = 0.999;

/// Coordinates are clamped to ± this value.
const FARTHEST: f64 = 1e15;

/// Ratio of the standard deviation to the median absolute deviation of a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.482_6;

/// The running scale of one field. All numbers but `offset` and `unit` are in coordinates.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Scale {
    /// The value whose coordinate is 0.
    offset: f64,
    /// The size of one coordinate step in the field's own unit: a power of two.
    unit: f64,
    spread: Spread,
    /// Running share of readings that differ from the reading before.
    restless: f64,
    /// Coordinate of the last reading.
    last: f64,
    /// Coordinate that the forest saw last.
    held: f64,
    /// How many readings in a row have repeated the value before them.
    run: u32,
    /// The longest row of repetitions that has ended while no anomaly was open.
    longest: u32,
    /// The coordinate of that row: the one at which the field rests, if there is one.
    rest: f64,
    /// The longest row of repetitions of another coordinate.
    longest_elsewhere: u32,
    /// Number of observed values. A field that joined later has fewer than the sensor has readings.
    observed: u64,
}

impl Scale {
    /// Fixes offset and unit by a field's first values. Missing values are NaN.
    pub(crate) fn calibrate(values: &[f64]) -> Self {
        let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let offset = median(&values);
        let deviations: Vec<f64> = values.iter().map(|value| (value - offset).abs().min(f64::MAX)).collect();
        let typical = median(&deviations) * MAD_TO_DEVIATION;
        let count = values.len().max(1) as f64;
        let mean = deviations.iter().map(|deviation| deviation / count).sum::<f64>();
        let moving = if typical > 0.0 { typical } else { mean };
        let floor = offset.abs() * FLOOR;
        let size = [moving, floor, 1.0].into_iter().find(|size| *size > 0.0).unwrap_or(1.0);
        let unit = power_of_two_below(size);
        let moves = values.windows(2).filter(|pair| differ(pair[0], pair[1])).count();
        let mut scale = Self {
            offset,
            unit,
            spread: Spread::new(0.0, moving / unit),
            restless: moves as f64 / count,
            last: 0.0,
            held: 0.0,
            run: 0,
            longest: 0,
            rest: 0.0,
            longest_elsewhere: 0,
            observed: 0,
        };
        scale.last = values.last().map_or(0.0, |&value| scale.coordinate(value));
        scale
    }

    /// Converts the field's next value to a forest coordinate and applies the noise floor. NaN
    /// stays NaN.
    pub(crate) fn next_coordinate(&mut self, value: f64) -> f64 {
        if value.is_nan() {
            return f64::NAN;
        }
        let coordinate = self.coordinate(value);
        if !self.is_at_rest() || (coordinate - self.held).abs() > self.floor() {
            self.held = coordinate;
        }
        self.held
    }

    /// Observes the field's next value, which is not NaN. Returns whether the field is stuck. With `learn`,
    /// a row of repetitions that ends here is one of those that are usual.
    pub(crate) fn observe(&mut self, value: f64, learn: bool) -> bool {
        let coordinate = self.coordinate(value);
        self.observed += 1;
        if differ(coordinate, self.last) {
            if learn {
                self.learn_run();
            }
            self.run = 0;
        } else {
            self.run = self.run.saturating_add(1);
        }
        self.last = coordinate;
        let rarity = -libm::log10(1.0 - self.restless.min(ALWAYS_MOVING)) * f64::from(self.run);
        self.run >= LEAST_RUN && self.run / 2 > self.longest_here() && rarity >= STUCK
    }

    /// Learns the row of repetitions that has ended.
    fn learn_run(&mut self) {
        if !differ(self.last, self.rest) {
            self.longest = self.longest.max(self.run);
        } else if self.run > self.longest {
            self.longest_elsewhere = self.longest;
            (self.rest, self.longest) = (self.last, self.run);
        } else {
            self.longest_elsewhere = self.longest_elsewhere.max(self.run);
        }
    }

    /// Returns the longest row of repetitions that the last value is compared with.
    fn longest_here(&self) -> u32 {
        if differ(self.last, self.rest) { self.longest_elsewhere } else { self.longest }
    }

    /// Learns the value that was observed last. `rate` is its weight in the running means.
    pub(crate) fn learn(&mut self, rate: f64) {
        let moved = f64::from(u8::from(self.run == 0));
        self.restless += rate * (moved - self.restless);
        self.spread.learn(self.last, rate);
    }

    /// Returns how rare it is, as −log10 of a share of readings, that a field that is stuck has repeated
    /// its value for so long: it has not happened in `past` readings of the sensor, of which the field may
    /// have fewer.
    pub(crate) fn rarity_of_repetitions(&self, past: u64) -> f64 {
        let usual = self.longest_here().max(LEAST_RUN / 2);
        let doublings = libm::log2(f64::from(self.run) / f64::from(usual)) - 1.0;
        rarity_of_share(0, past.min(self.observed)) + (PER_DOUBLING * doublings).clamp(0.0, MOST_BEYOND)
    }

    /// Returns how many readings in a row have repeated the value before them.
    pub(crate) fn repetitions(&self) -> u32 {
        self.run
    }

    /// Returns whether the field hardly ever moves.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.restless < RESTLESS
    }

    /// Returns the weight of a cut through this field. It makes the forest cut fields of any scale
    /// equally often.
    pub(crate) fn weight(&self) -> f32 {
        weight(self.spread())
    }

    /// Returns the field's spread, in coordinates.
    pub(crate) fn spread(&self) -> f64 {
        let spread = self.spread.deviation();
        if self.is_at_rest() { spread.max(self.floor()) } else { spread }
    }

    /// Returns the least size of a residual that says anything, in coordinates: the noise floor of a
    /// field that hardly moves, else a small part of its spread.
    pub(crate) fn least_residual(&self) -> f64 {
        if self.is_at_rest() { self.floor() } else { ROUNDING * self.spread() }
    }

    /// Returns the value of a coordinate, in the field's own unit.
    pub(crate) fn value(&self, coordinate: f64) -> f64 {
        self.offset + coordinate * self.unit
    }

    fn floor(&self) -> f64 {
        (self.offset.abs() * FLOOR / self.unit).min(FARTHEST)
    }

    /// Returns the coordinate of a value, without the noise floor.
    pub(crate) fn coordinate(&self, value: f64) -> f64 {
        ((value - self.offset) / self.unit).clamp(-FARTHEST, FARTHEST)
    }
}

/// Returns whether a value at this distance is so far off that the sensor has hardly measured it,
/// such as 65535 or 85 °C among the first values. Models that have learnt no spread of their own yet
/// ask this.
pub(crate) fn is_implausible(distance: f64, spread: f64) -> bool {
    spread > 0.0 && distance.abs() > FIRST_REACH * spread
}

/// Returns the weight that makes dimensions of any spread count alike.
fn weight(spread: f64) -> f32 {
    if spread > 0.0 { (1.0 / spread).clamp(1e-12, 1e12) as f32 } else { 1.0 }
}

/// Returns whether two values differ, without any tolerance.
#[allow(clippy::float_cmp)]
fn differ(a: f64, b: f64) -> bool {
    a != b
}

/// Returns the middle value, or 0 if there are none. It is always one of the values: of an even
/// number, the upper middle one.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Returns the greatest power of two that is not above a positive value, within the range of normal
/// numbers.
fn power_of_two_below(value: f64) -> f64 {
    let exponent = libm::ilogb(value.clamp(f64::MIN_POSITIVE, f64::MAX));
    libm::ldexp(1.0, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_keep_small_differences_on_a_huge_offset() {
        let values: Vec<f64> = (0..16).map(|i| 1e9 + f64::from(i % 4) * 0.01).collect();
        let mut scale = Scale::calibrate(&values);
        let near = scale.next_coordinate(1e9) as f32;
        let far = scale.next_coordinate(1e9 + 0.01) as f32;
        assert!((far - near).abs() > 0.5, "{near} {far}");
        assert!((scale.value(f64::from(far)) - (1e9 + 0.01)).abs() < 1e-3);
    }

    #[test]
    fn a_flat_field_moves_only_beyond_its_noise_floor() {
        let mut scale = Scale::calibrate(&[200.0; 16]);
        let rest = scale.next_coordinate(200.0);
        assert_eq!(scale.next_coordinate(200.1), rest);
        assert_ne!(scale.next_coordinate(201.0), rest);
    }

    #[test]
    fn missing_values_have_no_coordinate_and_make_no_scale() {
        let mut scale = Scale::calibrate(&[f64::NAN, 4.0, f64::NAN, 6.0]);
        assert!(scale.next_coordinate(f64::NAN).is_nan());
        assert!(scale.next_coordinate(5.0).is_finite());
        assert!(Scale::calibrate(&[f64::NAN; 16]).next_coordinate(3.0).is_finite());
    }

    #[test]
    fn only_more_repetition_than_ever_before_is_stuck() {
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
            while scale.repetitions() < repetitions {
                scale.observe(9.0, true);
            }
            scale.rarity_of_repetitions(9_999)
        };
        assert_eq!([8, 16, 32, 1_000].map(&mut rarity_after), [4.0, 4.5, 5.0, 5.0]);

        let mut young = Scale::calibrate(&[1.0, 2.0, 3.0, 4.0]);
        for _ in 0..99 {
            young.observe(9.0, true);
        }
        assert_eq!(young.rarity_of_repetitions(9_999), 3.0, "the field has 99 readings");
    }
}
