//! A field's recent past in two numbers: its exponentially moving mean and spread.
//!
//! They show what a single reading cannot show: a level that has moved within the usual range, or a
//! field that has become restless or quiet. A moving mean and spread need two numbers. A window of
//! readings would need one number per reading.

use serde::{Deserialize, Serialize};

use crate::spread::Spread;

/// A deviation beyond this many usual ones counts as this many, so that a single outlier has no
/// long after-effect.
const CLIP: f64 = 5.0;
/// Lower bound of the long-term spread of deviation, mean and spread, as a part of the field's own
/// spread. Below it there is only rounding.
const LEAST: f64 = 1e-3;

/// The moving mean and spread of one field, in coordinates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Trend {
    mean: f64,
    variance: f64,
    /// Signed distance of the last coordinate from the mean before it.
    deviation: f64,
    /// How many coordinates in a row lay beyond [`CLIP`] on the same side of the mean. Negative
    /// below the mean.
    beyond: i32,
    /// Long-term spread of the deviations.
    of_deviation: Spread,
    /// Long-term spread of the moving mean.
    of_mean: Spread,
    /// Long-term spread of the moving spread.
    of_spread: Spread,
}

impl Trend {
    /// Creates a trend that starts at a field's first coordinate.
    pub(crate) fn new(coordinate: f64) -> Self {
        Self { mean: coordinate, of_mean: Spread::new(coordinate, 0.0), ..Self::default() }
    }

    /// Restarts the mean after a silence. The readings before it say nothing about the present
    /// level.
    pub(crate) fn restart(&mut self, coordinate: f64) {
        self.mean = coordinate;
    }

    /// Moves the mean and the spread by the next coordinate. `reach_back` is the number of readings
    /// that the mean reaches back.
    pub(crate) fn follow(&mut self, coordinate: f64, reach_back: f64) {
        let rate = 1.0 / reach_back;
        self.deviation = coordinate - self.mean;
        let reach = CLIP * self.of_deviation.deviation();
        let counted = if reach > 0.0 { self.deviation.clamp(-reach, reach) } else { self.deviation };
        let side =
            if reach == 0.0 || self.deviation.abs() <= reach { 0 } else { self.deviation.signum() as i32 };
        self.beyond = if side == 0 || self.beyond.signum() == -side { side } else { self.beyond + side };
        // If a whole reach of readings lies beyond the clip on one side, they are a new level and
        // not outliers.
        if f64::from(self.beyond).abs() >= reach_back {
            self.mean = coordinate;
            self.beyond = 0;
            return;
        }
        self.mean += rate * counted;
        self.variance = (1.0 - rate) * (self.variance + rate * counted * counted);
    }

    /// Learns how deviation, mean and spread vary. `rate` is the weight of this reading.
    pub(crate) fn learn(&mut self, rate: f64) {
        self.of_deviation.learn(self.deviation, rate);
        self.of_mean.learn(self.mean, rate);
        self.of_spread.learn(self.spread(), rate);
    }

    /// Returns the signed distance of the last coordinate from the mean before it.
    pub(crate) fn deviation(&self) -> f64 {
        self.deviation
    }

    /// Returns the moving mean.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns the moving standard deviation.
    pub(crate) fn spread(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Returns the weight of a cut through the deviation, given the spread of the field itself.
    pub(crate) fn weight_of_deviation(&self, field_spread: f64) -> f32 {
        weight(self.of_deviation.deviation().max(LEAST * field_spread))
    }

    /// Returns the weight of a cut through the mean, given the spread of the field itself.
    pub(crate) fn weight_of_mean(&self, field_spread: f64) -> f32 {
        weight(self.of_mean.deviation().max(LEAST * field_spread))
    }

    /// Returns the weight of a cut through the moving spread, given the spread of the field itself.
    pub(crate) fn weight_of_spread(&self, field_spread: f64) -> f32 {
        weight(self.of_spread.deviation().max(LEAST * field_spread))
    }
}

/// Returns the weight that makes dimensions of any spread count alike.
pub(crate) fn weight(spread: f64) -> f32 {
    if spread > 0.0 { (1.0 / spread).clamp(1e-12, 1e12) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moving_mean_and_spread_converge_to_those_of_the_series() {
        let mut trend = Trend::new(0.0);
        for i in 0..2_000 {
            trend.follow(10.0 + f64::from(i % 2) * 2.0, 20.0);
        }
        assert!((trend.mean() - 11.0).abs() < 0.1, "{}", trend.mean());
        assert!((trend.spread() - 1.0).abs() < 0.1, "{}", trend.spread());
        trend.restart(50.0);
        assert_eq!(trend.mean(), 50.0);
    }

    #[test]
    fn an_outlier_moves_little_and_a_new_level_is_followed() {
        let mut trend = Trend::new(0.0);
        for i in 0..2_000 {
            trend.follow(f64::from(i % 5) - 2.0, 20.0);
            trend.learn(0.01);
        }
        trend.follow(1_000.0, 20.0);
        assert!(trend.mean().abs() < 1.0 && trend.spread() < 4.0, "{trend:?}");
        (0..40).for_each(|_| trend.follow(1_000.0, 20.0));
        assert!((trend.mean() - 1_000.0).abs() < 1.0, "{trend:?}");
    }
}
