//! The one-step forecast of a field: an autoregression over its last readings.
//!
//! The coefficients come from the running autocovariances by the Levinson–Durbin recursion. The
//! residual is the difference between a reading and its forecast, in units of its usual size. It
//! shows what no forest of single readings shows: a usual value at the wrong place in the course of
//! the series.

use serde::{Deserialize, Serialize};

use crate::autoregression::{Autoregression, extend};
use crate::scale::is_implausible;
use crate::spread::Spread;

/// Lags of the autoregression.
const LAGS: usize = 8;
/// The coefficients are renewed after this many learnt readings.
const RENEWAL: u32 = 32;
/// A coordinate farther than this many standard deviations from the mean counts as this far, so
/// that an outlier hardly disturbs the forecasts after it.
const CLIP: f64 = 6.0;
/// Upper bound of a residual's size.
const FARTHEST: f64 = 1e6;
/// Readings that the moving mean of the residual reaches back.
const DRIFT_REACH: f64 = 8.0;
/// Readings that the moving power of the residual reaches back.
const UNREST_REACH: f64 = 32.0;
/// A moving mean of independent residuals varies less than the residuals, by this factor.
const DRIFT_GAIN: f64 = 3.872_983_346_207_417; // √(2 · DRIFT_REACH − 1)

/// Measures of each field.
pub(crate) const FORECAST_MEASURES: usize = 3;

/// The forecast of one field, in coordinates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Forecast {
    mean: f64,
    /// Running autocovariances of the lags 0 to [`LAGS`].
    covariances: [f64; LAGS + 1],
    /// Partial autocorrelations: the forecast of every lower order follows from them.
    partial: [f64; LAGS],
    coefficients: [f64; LAGS],
    /// Clipped distances of the last coordinates from the mean, the newest first.
    lags: [f64; LAGS],
    /// Number of valid lags.
    known: u8,
    /// Number of learnt readings, up to [`LAGS`]. It tells the first values from later ones.
    learnt: u8,
    /// Learnt readings until the coefficients are renewed.
    due: u32,
    /// The usual size of the residual.
    of_error: Spread,
    /// Moving mean and moving power of the clipped residual.
    drift: f64,
    unrest: f64,
    /// Clipped distance of the last coordinate from the mean; 0 after a silence without one.
    #[serde(skip)]
    last: f64,
    #[serde(skip)]
    error: f64,
    #[serde(skip)]
    residual: f64,
}

impl Forecast {
    /// Creates a forecast that starts at a field's first coordinate.
    pub(crate) fn new(coordinate: f64) -> Self {
        Self { mean: coordinate, unrest: 1.0, ..Self::default() }
    }

    /// Forgets the last readings, because a silence separates them from the next one.
    pub(crate) fn restart(&mut self) {
        self.known = 0;
        self.drift = 0.0;
        self.unrest = 1.0;
    }

    /// Compares the field's next coordinate with its forecast. `least` is the lower bound of the
    /// residual's usual size. `spread` is the field's own spread: a first value that is
    /// [implausible](is_implausible) is not learnt.
    pub(crate) fn follow(&mut self, coordinate: f64, least: f64, spread: f64) {
        let distance = coordinate - self.mean;
        let known = usize::from(self.known);
        let (expected, growth) = if known == LAGS {
            (dot(&self.coefficients, &self.lags), 1.0)
        } else {
            self.forecast_of_order(known)
        };
        self.error = distance - expected;
        let usual = (growth * self.of_error.deviation()).max(least);
        self.residual = if usual > 0.0 { (self.error / usual).clamp(-FARTHEST, FARTHEST) } else { 0.0 };
        let counted = self.residual.clamp(-CLIP, CLIP);
        self.drift += (counted - self.drift) / DRIFT_REACH;
        self.unrest += (counted * counted - self.unrest) / UNREST_REACH;
        let reach = CLIP * self.covariances[0].sqrt();
        self.last = if reach > 0.0 {
            distance.clamp(-reach, reach)
        } else if usize::from(self.learnt) < LAGS && is_implausible(distance, spread) {
            self.error = 0.0;
            0.0
        } else {
            distance
        };
        // The error of a forecast from fewer lags is greater. It counts as one from all lags.
        self.error /= growth;
    }

    /// Passes over a reading without this field.
    pub(crate) fn pass_over(&mut self) {
        self.residual = 0.0;
        self.last = if self.known == 0 { 0.0 } else { self.lags[0] };
    }

    /// Returns the forecast from the last `order` lags, and by which factor its usual error is
    /// greater than that of a forecast from all lags.
    fn forecast_of_order(&self, order: usize) -> (f64, f64) {
        let mut coefficients = [0.0; LAGS];
        for k in 0..order {
            extend(&mut coefficients, k, self.partial[k]);
        }
        let lost: f64 = self.partial[order..].iter().map(|partial| 1.0 - partial * partial).product();
        (dot(&coefficients, &self.lags), 1.0 / lost.sqrt())
    }

    /// Adds the last coordinate to the lags, and learns it if `learn` is true. `rate` is its weight
    /// in the running means.
    pub(crate) fn advance(&mut self, learn: bool, rate: f64) {
        let last = self.last;
        let is_known = usize::from(self.known) == LAGS;
        if learn {
            self.learnt = (self.learnt + 1).min(LAGS as u8);
            self.of_error.learn(self.error, rate);
            self.covariances[0] += rate * (last * last - self.covariances[0]);
            if is_known {
                for (covariance, lag) in self.covariances[1..].iter_mut().zip(&self.lags) {
                    *covariance += rate * (last * lag - *covariance);
                }
            }
        }
        self.lags.copy_within(..LAGS - 1, 1);
        self.lags[0] = last;
        self.known = (self.known + 1).min(LAGS as u8);
        if learn {
            // The lags are distances from the mean, so they move with it.
            let step = rate * last;
            self.mean += step;
            self.lags.iter_mut().for_each(|lag| *lag -= step);
            if self.due == 0 {
                let fitted = Autoregression::new(&self.covariances);
                (self.coefficients, self.partial) = (fitted.coefficients, fitted.partial);
                self.due = RENEWAL;
            }
            self.due -= 1;
        }
    }

    /// Returns whether all numbers are finite and in range. A restored snapshot is checked with it.
    pub(crate) fn is_sound(&self) -> bool {
        let numbers = [self.mean, self.of_error.deviation(), self.drift, self.unrest];
        let lists = self.covariances.iter().chain(&self.partial).chain(&self.lags).chain(&self.coefficients);
        self.known.max(self.learnt) <= LAGS as u8
            && numbers.iter().chain(lists).all(|number| number.is_finite())
    }

    /// Returns the last coordinate's distance from the running mean, in standard deviations. It is
    /// clipped, and 0 while the field is constant. Of a field that the last reading lacks, it is that
    /// of the reading before, or 0 after a silence.
    pub(crate) fn standard_score(&self) -> f64 {
        let deviation = self.covariances[0].sqrt();
        if deviation > 0.0 { (self.last / deviation).clamp(-CLIP, CLIP) } else { 0.0 }
    }

    /// Returns the last residual, in units of its usual size.
    pub(crate) fn residual(&self) -> f64 {
        self.residual
    }

    /// Returns the moving mean of the residual, in units of its usual size.
    pub(crate) fn drift(&self) -> f64 {
        DRIFT_GAIN * self.drift
    }

    /// Returns three measures of the last reading: the residual, its moving mean and its moving
    /// power. They are logarithms, so that an exponential tail fits them. The first two have the sign of
    /// what they measure.
    pub(crate) fn measures(&self) -> [f64; FORECAST_MEASURES] {
        [signed_logarithm(self.residual), signed_logarithm(self.drift()), logarithm(self.unrest)]
    }
}

/// Returns the measure of a size from 0.
pub(crate) fn logarithm(size: f64) -> f64 {
    2.0 * libm::log(1.0 + size)
}

/// Returns the measure of a number's size, with the number's sign.
fn signed_logarithm(number: f64) -> f64 {
    logarithm(number.abs()).copysign(number)
}

fn dot(a: &[f64; LAGS], b: &[f64; LAGS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    /// A forecast that has learnt x = 0.9 x₁ + noise around 100, with the last x.
    fn learnt() -> (Forecast, f64) {
        let (mut forecast, mut x, mut noise) = (Forecast::new(100.0), 0.0, Noise::new(7));
        for i in 0_u32..20_000 {
            x = 0.9 * x + noise.uniform() - 0.5;
            forecast.follow(100.0 + x, 0.0, 0.0);
            forecast.advance(true, 1.0 / f64::from(i.clamp(16, 5_000)));
        }
        (forecast, x)
    }

    #[test]
    fn a_residual_is_the_distance_from_the_forecast_in_units_of_the_noise() {
        let (forecast, x) = learnt();
        assert!((forecast.coefficients[0] - 0.9).abs() < 0.05, "{:?}", forecast.coefficients);
        let residual = |value: f64| {
            let mut forecast = forecast.clone();
            forecast.follow(100.0 + value, 0.0, 0.0);
            forecast.residual()
        };
        let usual = libm::sqrt(1.0 / 12.0);
        for steps in [-4.0, 0.0, 3.0] {
            let found = residual(0.9 * x + steps * usual);
            assert!((found - steps).abs() < 0.3, "{steps}: {found}");
        }
    }

    /// Without lags, the forecast is the mean, and its usual error the spread of the series, which is
    /// 2.3 times that of the noise.
    #[test]
    fn after_a_silence_a_usual_value_has_a_usual_residual() {
        let (mut forecast, _) = learnt();
        forecast.restart();
        let usual = libm::sqrt(1.0 / 12.0 / (1.0 - 0.81));
        forecast.follow(100.0 + 2.0 * usual, 0.0, 0.0);
        assert!((forecast.residual() - 2.0).abs() < 0.3, "{}", forecast.residual());
        forecast.advance(false, 0.0);
        forecast.follow(100.0 + 0.9 * 2.0 * usual, 0.0, 0.0);
        assert!(forecast.residual().abs() < 0.3, "one lag is enough here: {}", forecast.residual());
    }

    #[test]
    fn a_mean_that_moves_takes_the_lags_along() {
        let (mut forecast, x) = learnt();
        let before = forecast.mean + forecast.lags[0];
        assert!((before - (100.0 + x)).abs() < 1e-9, "the newest lag is the last value");
        for _ in 0..200 {
            forecast.follow(102.0, 0.0, 0.0);
            forecast.advance(true, 0.05);
        }
        let newest = forecast.mean + forecast.lags[0];
        assert!((newest - 102.0).abs() < 1e-9, "{newest}");
    }

    #[test]
    fn an_outlier_hardly_moves_drift_and_unrest() {
        let (mut forecast, _) = learnt();
        forecast.follow(1e9, 0.0, 0.0);
        let [residual, drift, unrest] = forecast.measures();
        assert!(residual > 20.0 && drift < 4.0 && unrest < 2.5, "{residual} {drift} {unrest}");
    }
}
