//! A running mean and standard deviation. A single extreme reading hardly changes them.

use serde::{Deserialize, Serialize};

/// A deviation beyond this many standard deviations counts as this many.
const CLIP: f64 = 5.0;

/// The running mean and variance of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Spread {
    mean: f64,
    variance: f64,
}

impl Spread {
    /// Creates a running mean and deviation that start at these values.
    pub(crate) fn new(mean: f64, deviation: f64) -> Self {
        Self { mean, variance: deviation * deviation }
    }

    /// Learns a value. `rate` is its weight in the running mean and variance.
    pub(crate) fn learn(&mut self, value: f64, rate: f64) {
        let reach = CLIP * self.deviation();
        let deviation =
            if reach > 0.0 { (value - self.mean).clamp(-reach, reach) } else { value - self.mean };
        self.mean += rate * deviation;
        self.variance = (1.0 - rate) * (self.variance + rate * deviation * deviation);
    }

    /// Returns the running standard deviation.
    pub(crate) fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extreme_reading_hardly_changes_the_spread_and_a_new_scale_is_learnt() {
        let mut spread = Spread::new(0.0, 1.0);
        for i in 0..1_000 {
            spread.learn(f64::from(i % 7) - 3.0, 0.01);
        }
        let usual = spread.deviation();
        assert!((1.8..2.2).contains(&usual), "{usual}");
        spread.learn(1e9, 0.01);
        assert!(spread.deviation() < 1.2 * usual);
        for i in 0..2_000 {
            spread.learn(100.0 * (f64::from(i % 7) - 3.0), 0.01);
        }
        assert!((180.0..220.0).contains(&spread.deviation()), "{}", spread.deviation());
    }
}
