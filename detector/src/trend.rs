//! A field's recent past in two numbers: its exponentially moving mean and spread.
//!
//! They make up what a single reading cannot show: a level that has moved within the usual range, a field that has become
//! restless or quiet. A moving mean costs two numbers, where a window of readings would cost as many as it is long.

use serde::{Deserialize, Serialize};

use crate::spread::Spread;

/// Deviations beyond this many usual ones count as this many: a single outlier is over when it is over.
const CLIP: f64 = 5.0;
/// The spread of a moving figure counts as at least this part of the field's own: below it there is only rounding.
const LEAST: f64 = 1e-3;

/// The moving mean and spread of one field, in coordinates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Trend {
    mean: f64,
    variance: f64,
    /// How far the last coordinate was from the mean before it.
    deviation: f64,
    /// How many coordinates in a row were beyond what counts, on the same side: below the mean, a negative number.
    beyond: i32,
    /// How such deviations vary over the past.
    of_deviation: Spread,
    /// How the mean itself varies over the past.
    of_mean: Spread,
    /// How the moving spread varies over the past.
    of_spread: Spread,
}

impl Trend {
    /// Begins at a field's first coordinate.
    pub(crate) fn new(at: f64) -> Self {
        Self { mean: at, of_mean: Spread::new(at, 0.0), ..Self::default() }
    }

    /// Passes over a silence: what was before it says nothing of the present level.
    pub(crate) fn restart(&mut self, at: f64) {
        self.mean = at;
    }

    /// Takes in the next coordinate; `reach_back` is how many readings the mean goes back.
    pub(crate) fn follow(&mut self, at: f64, reach_back: f64) {
        let rate = 1.0 / reach_back;
        self.deviation = at - self.mean;
        let reach = CLIP * self.of_deviation.deviation();
        let counted = if reach > 0.0 { self.deviation.clamp(-reach, reach) } else { self.deviation };
        let side =
            if reach == 0.0 || self.deviation.abs() <= reach { 0 } else { self.deviation.signum() as i32 };
        self.beyond = if side == 0 || self.beyond.signum() == -side { side } else { self.beyond + side };
        // As many outliers on one side as the mean goes back are no outliers, but a new level.
        if f64::from(self.beyond).abs() >= reach_back {
            self.mean = at;
            self.beyond = 0;
            return;
        }
        self.mean += rate * counted;
        self.variance = (1.0 - rate) * (self.variance + rate * counted * counted);
    }

    /// Learns how the moving figures vary; `rate` is the weight of this reading.
    pub(crate) fn learn(&mut self, rate: f64) {
        self.of_deviation.learn(self.deviation, rate);
        self.of_mean.learn(self.mean, rate);
        self.of_spread.learn(self.spread(), rate);
    }

    /// How far the last coordinate was from the mean before it.
    pub(crate) fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The moving mean.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// The moving standard deviation.
    pub(crate) fn spread(&self) -> f64 {
        self.variance.sqrt()
    }

    /// How much a cut through the deviation weighs, given the spread of the field itself.
    pub(crate) fn weight_of_deviation(&self, field_spread: f64) -> f32 {
        weight(self.of_deviation.deviation().max(LEAST * field_spread))
    }

    /// How much a cut through the mean weighs, given the spread of the field itself.
    pub(crate) fn weight_of_mean(&self, field_spread: f64) -> f32 {
        weight(self.of_mean.deviation().max(LEAST * field_spread))
    }

    /// How much a cut through the moving spread weighs, given the spread of the field itself.
    pub(crate) fn weight_of_spread(&self, field_spread: f64) -> f32 {
        weight(self.of_spread.deviation().max(LEAST * field_spread))
    }
}

/// The weight that makes numbers of any spread count alike.
pub(crate) fn weight(spread: f64) -> f32 {
    if spread > 0.0 { (1.0 / spread).clamp(1e-12, 1e12) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moving_figures_settle_on_those_of_the_series() {
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
