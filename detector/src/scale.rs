//! A field's running scale: turns its values into coordinates of the forest, and says how much the field should weigh.
//!
//! A random cut forest cuts the widest dimension most often, so a field in hertz would drown one in ratios. Three things
//! put that right, for units of any size and offset:
//!
//! - *Coordinates.* The first readings fix an offset (their median) and a unit (a power of two near their spread);
//!   a value becomes `(value − offset) / unit`, computed in `f64`, before the forest keeps it as `f32`. So 1e9 + 0.01 is
//!   told from 1e9, and multiplying a field by a power of two changes no score at all.
//! - *Spread.* A running standard deviation of the coordinates, over about as many readings as the forest remembers.
//!   Values far out count as [`CLIP`] spreads, so that one broken reading does not blind the field, while a lasting
//!   change of scale is still learnt within a fraction of the window. The field's cuts are weighed by 1 / spread.
//! - *Noise floor.* A field that hardly ever moves has no spread to speak of, and its first tiny change would look
//!   infinite. While fewer than one reading in 64 differs from its predecessor, changes below [`FLOOR`] of the
//!   field's magnitude are not passed on.

/// Readings held back until offsets and units are known.
pub(crate) const OPENING: usize = 16;

/// Deviations beyond this many spreads are counted as this many.
const CLIP: f64 = 5.0;

/// What a field that hardly moves is allowed to move, as a part of its magnitude.
const FLOOR: f64 = 1e-3;

/// A field is restless when more than this share of its readings differ from the one before.
const RESTLESS: f64 = 1.0 / 64.0;

/// Coordinates stay within ± this; what lies beyond is as far out as anything can be.
const FARTHEST: f64 = 1e15;

/// Median absolute deviation to standard deviation, for a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.482_6;

/// The running scale of one field. All numbers but `offset` and `unit` are in coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    /// The value whose coordinate is 0.
    pub(crate) offset: f64,
    /// The size of one coordinate in the field's own unit: a power of two.
    pub(crate) unit: f64,
    /// Running mean.
    pub(crate) mean: f64,
    /// Running variance.
    pub(crate) variance: f64,
    /// Running share of readings that differ from the one before.
    pub(crate) restless: f64,
    /// Coordinate of the last reading.
    pub(crate) last: f64,
    /// Coordinate last passed on to the forest.
    pub(crate) held: f64,
}

impl Scale {
    /// Fixes offset and unit by a sensor's first values of a field, of which there must be at least one.
    pub(crate) fn open(values: &[f64]) -> Self {
        let offset = median(values);
        let deviations: Vec<f64> = values.iter().map(|value| (value - offset).abs().min(f64::MAX)).collect();
        let typical = median(&deviations) * MAD_TO_DEVIATION;
        let mean = deviations.iter().map(|deviation| deviation / values.len() as f64).sum::<f64>();
        let moving = if typical > 0.0 { typical } else { mean };
        let floor = offset.abs() * FLOOR;
        let size = [moving, floor, 1.0].into_iter().find(|size| *size > 0.0).unwrap_or(1.0);
        let unit = power_of_two_below(size);
        let spread = moving / unit;
        let moves = values.windows(2).filter(|pair| differ(pair[0], pair[1])).count();
        let mut scale = Self {
            offset,
            unit,
            mean: 0.0,
            variance: spread * spread,
            restless: moves as f64 / values.len() as f64,
            last: 0.0,
            held: 0.0,
        };
        scale.last = scale.coordinate(values[values.len() - 1]);
        scale
    }

    /// The value as the forest shall see it.
    pub(crate) fn pass(&mut self, value: f64) -> f32 {
        let at = self.coordinate(value);
        if self.restless >= RESTLESS || (at - self.held).abs() > self.floor() {
            self.held = at;
        }
        self.held as f32
    }

    /// Learns a value; `rate` is the weight of this reading in the running figures.
    pub(crate) fn learn(&mut self, value: f64, rate: f64) {
        let at = self.coordinate(value);
        let moved = f64::from(u8::from(differ(at, self.last)));
        self.restless += rate * (moved - self.restless);
        self.last = at;
        let reach = CLIP * self.spread();
        let deviation = if reach > 0.0 { (at - self.mean).clamp(-reach, reach) } else { at - self.mean };
        self.mean += rate * deviation;
        self.variance = (1.0 - rate) * (self.variance + rate * deviation * deviation);
    }

    /// How much a cut through this field weighs: fields of any scale are cut alike.
    pub(crate) fn weight(&self) -> f32 {
        let spread = self.spread();
        if spread > 0.0 { (1.0 / spread).clamp(1e-12, 1e12) as f32 } else { 1.0 }
    }

    fn spread(&self) -> f64 {
        let spread = self.variance.sqrt();
        if self.restless >= RESTLESS { spread } else { spread.max(self.floor()) }
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

/// The middle value, always one of the values themselves: no rounding.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The greatest power of two not above a positive value, within the range of normal numbers.
fn power_of_two_below(value: f64) -> f64 {
    let exponent = libm::ilogb(value.clamp(f64::MIN_POSITIVE, f64::MAX));
    libm::ldexp(1.0, exponent)
}

#[cfg(test)]
mod tests;
