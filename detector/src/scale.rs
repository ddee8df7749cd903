//! A field's running scale: turns its values into coordinates of the forest, and says how much the field should weigh.
//!
//! A random cut forest cuts the widest dimension most often, so a field in hertz would drown one in ratios. Three things
//! put that right, for units of any size and offset:
//!
//! - *Coordinates.* The first readings fix an offset (their median) and a unit (a power of two near their spread);
//!   a value becomes `(value − offset) / unit`, computed in `f64`, before the forest keeps it as `f32`. So 1e9 + 0.01 is
//!   told from 1e9, and multiplying a field by a power of two changes no score at all.
//! - *Spread.* A running standard deviation of the coordinates, over about as many readings as the forest's memory spans.
//!   The field's cuts are weighed by 1 / spread.
//! - *Noise floor.* A field that hardly ever moves has no spread to speak of, and its first tiny change would look
//!   infinite. While fewer than one reading in 64 differs from its predecessor, changes below [`FLOOR`] of the
//!   field's magnitude are not passed on.
//!
//! A scale also notices a field that is *stuck*: it repeats itself far longer than it ever did.

use serde::{Deserialize, Serialize};

use crate::spread::Spread;
use crate::trend::weight;

/// Readings held back until offsets and units are known.
pub(crate) const OPENING: usize = 16;

/// What a field that hardly moves is allowed to move, as a part of its magnitude.
const FLOOR: f64 = 1e-3;

/// A field is restless when more than this share of its readings differ from the one before.
const RESTLESS: f64 = 1.0 / 64.0;

/// Repetitions below this many say nothing.
const LEAST_RUN: u32 = 8;

/// A field is stuck when its repetitions are rarer than one in ten to this power.
const STUCK: f64 = 6.0;

/// A field that differs from reading to reading by more than this share is as good as always on the move.
const ALWAYS_MOVING: f64 = 0.999;

/// Coordinates stay within ± this; what lies beyond is as far out as anything can be.
const FARTHEST: f64 = 1e15;

/// Median absolute deviation to standard deviation, for a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.482_6;

/// The running scale of one field. All numbers but `offset` and `unit` are in coordinates.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Scale {
    /// The value whose coordinate is 0.
    offset: f64,
    /// The size of one coordinate in the field's own unit: a power of two.
    unit: f64,
    spread: Spread,
    /// Running share of readings that differ from the one before.
    restless: f64,
    /// Coordinate of the last reading.
    last: f64,
    /// Coordinate last passed on to the forest.
    held: f64,
    /// How many readings in a row the last one has repeated.
    run: u32,
    /// The longest such row that has ended.
    longest: u32,
}

impl Scale {
    /// Fixes offset and unit by a sensor's first values of a field; those that are missing are NaN.
    pub(crate) fn open(values: &[f64]) -> Self {
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
        };
        scale.last = values.last().map_or(0.0, |&value| scale.coordinate(value));
        scale
    }

    /// The coordinate that the forest shall see for a value; a missing one has none, and gets none.
    pub(crate) fn pass(&mut self, value: f64) -> f64 {
        if value.is_nan() {
            return f64::NAN;
        }
        let at = self.coordinate(value);
        if !self.is_at_rest() || (at - self.held).abs() > self.floor() {
            self.held = at;
        }
        self.held
    }

    /// Hears of a value that came; whether the field is stuck.
    pub(crate) fn hear(&mut self, value: f64) -> bool {
        let at = self.coordinate(value);
        if differ(at, self.last) {
            self.longest = self.longest.max(self.run);
            self.run = 0;
        } else {
            self.run = self.run.saturating_add(1);
        }
        self.last = at;
        let rarity = -libm::log10(1.0 - self.restless.min(ALWAYS_MOVING)) * f64::from(self.run);
        self.run >= LEAST_RUN && self.run / 2 > self.longest && rarity >= STUCK
    }

    /// Learns the value last heard of; `rate` is its weight in the running figures.
    pub(crate) fn learn(&mut self, rate: f64) {
        let moved = f64::from(u8::from(self.run == 0));
        self.restless += rate * (moved - self.restless);
        self.spread.learn(self.last, rate);
    }

    /// Whether the field hardly ever moves.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.restless < RESTLESS
    }

    /// How much a cut through this field weighs: fields of any scale are cut alike.
    pub(crate) fn weight(&self) -> f32 {
        weight(self.spread())
    }

    /// The field's spread, in coordinates.
    pub(crate) fn spread(&self) -> f64 {
        let spread = self.spread.deviation();
        if self.is_at_rest() { spread.max(self.floor()) } else { spread }
    }

    /// The value of a coordinate.
    pub(crate) fn value(&self, coordinate: f64) -> f64 {
        self.offset + coordinate * self.unit
    }

    fn floor(&self) -> f64 {
        (self.offset.abs() * FLOOR / self.unit).min(FARTHEST)
    }

    fn coordinate(&self, value: f64) -> f64 {
        ((value - self.offset) / self.unit).clamp(-FARTHEST, FARTHEST)
    }
}

/// Whether a value is another than the one before, to the last bit of the number.
#[allow(clippy::float_cmp)]
fn differ(a: f64, b: f64) -> bool {
    a != b
}

/// The middle value, always one of the values themselves: no rounding. 0 if there are none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The greatest power of two not above a positive value, within the range of normal numbers.
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
        let mut scale = Scale::open(&values);
        let near = scale.pass(1e9) as f32;
        let far = scale.pass(1e9 + 0.01) as f32;
        assert!((far - near).abs() > 0.5, "{near} {far}");
        assert!((scale.value(f64::from(far)) - (1e9 + 0.01)).abs() < 1e-3);
    }

    #[test]
    fn a_flat_field_passes_on_only_what_exceeds_its_noise_floor() {
        let mut scale = Scale::open(&[200.0; 16]);
        let rest = scale.pass(200.0);
        assert_eq!(scale.pass(200.1), rest);
        assert_ne!(scale.pass(201.0), rest);
    }

    #[test]
    fn missing_values_have_no_coordinate_and_make_no_scale() {
        let mut scale = Scale::open(&[f64::NAN, 4.0, f64::NAN, 6.0]);
        assert!(scale.pass(f64::NAN).is_nan());
        assert!(scale.pass(5.0).is_finite());
        assert!(Scale::open(&[f64::NAN; 16]).pass(3.0).is_finite());
    }

    #[test]
    fn only_more_repetition_than_ever_is_stuck() {
        let mut scale = Scale::open(&[1.0, 2.0, 3.0, 4.0]);
        let heard: Vec<bool> = (0..40).map(|_| scale.hear(9.0)).collect();
        let stuck = heard.iter().position(|&stuck| stuck).unwrap();
        assert!((LEAST_RUN as usize..20).contains(&stuck), "{stuck}");
        scale.hear(10.0);
        assert!((0..60).all(|_| !scale.hear(9.0)), "it has rested that long before");
    }
}
