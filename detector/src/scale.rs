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
//! A scale also counts how often the field [repeats](crate::repetition) its value, and how long it has
//! been [away](crate::excursion) from the value at which it rests.

use serde::{Deserialize, Serialize};

use crate::excursion::Excursion;
use crate::repetition::{Repetition, differ};
use crate::spread::Spread;

/// Readings that fix the offsets and units.
pub(crate) const CALIBRATION_ROWS: usize = 16;

/// A first value farther than this many spreads from the median is implausible.
const FIRST_REACH: f64 = 50.0;

/// Noise floor of a field that hardly moves, as a part of its magnitude.
const FLOOR: f64 = 1e-3;

/// Deviations below this part of a field's magnitude are rounding of the device's arithmetic: 256 units in
/// the last place.
const ARITHMETIC: f64 = 1.0 / (1_u64 << 44) as f64;

/// A scale suits a field if its offset is within this many units of a usual scale from the field's
/// values. Coordinates are 32-bit numbers in the forest, which tell values apart only near the offset.
const SUITS: f64 = 4_096.0;

/// A residual below this part of a field's spread is only rounding.
const ROUNDING: f64 = 1e-3;

/// A field is restless if at least this share of its readings differ from the reading before.
const RESTLESS: f64 = 1.0 / 64.0;

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
    /// Coordinate that the forest saw last.
    held: f64,
    /// The last coordinate, and how often it was repeated.
    repetition: Repetition,
    /// How long it has been away from the value at which it rests.
    excursion: Excursion,
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
        let moving = if moving > offset.abs() * ARITHMETIC { moving } else { 0.0 };
        let floor = offset.abs() * FLOOR;
        let size = [moving, floor, 1.0].into_iter().find(|size| *size > 0.0).unwrap_or(1.0);
        let unit = power_of_two_below(size);
        let moves = values.windows(2).filter(|pair| differ(pair[0], pair[1])).count();
        let mut scale = Self {
            offset,
            unit,
            spread: Spread::new(0.0, moving / unit),
            restless: moves as f64 / count,
            held: 0.0,
            repetition: Repetition::default(),
            excursion: Excursion::default(),
        };
        let last = values.last().map_or(0.0, |&value| scale.coordinate(value));
        scale.repetition = Repetition::new(last);
        scale
    }

    /// Returns whether the coordinates tell the values of a field apart for which the `usual` scale has been
    /// calibrated: the first values may have been errors of the device, or differ by their rounding only.
    pub(crate) fn suits(&self, usual: &Self) -> bool {
        (self.offset - usual.offset).abs() <= SUITS * usual.unit.max(usual.offset.abs() * FLOOR)
            && self.unit * FARTHEST >= FARTHEST.sqrt() * usual.unit
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
    /// a row of repetitions or an excursion that ends here is one of those that are usual.
    pub(crate) fn observe(&mut self, value: f64, learn: bool) -> bool {
        let coordinate = self.coordinate(value);
        self.repetition.observe(coordinate, learn);
        self.excursion.observe(coordinate, self.repetition.rest(), learn);
        self.repetition.is_stuck(self.restless)
    }

    /// Returns how often the field has repeated its last value.
    pub(crate) fn repetition(&self) -> &Repetition {
        &self.repetition
    }

    /// Returns how long the field has been away from the value at which it rests.
    pub(crate) fn excursion(&self) -> &Excursion {
        &self.excursion
    }

    /// Learns the value that was observed last. `rate` is its weight in the running means.
    pub(crate) fn learn(&mut self, rate: f64) {
        let moved = f64::from(u8::from(self.repetition.run() == 0));
        self.restless += rate * (moved - self.restless);
        self.spread.learn(self.repetition.last(), rate);
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
}
