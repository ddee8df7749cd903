//! The forecast of the means of blocks of readings.

use serde::{Deserialize, Serialize};

use crate::autoregression::Autoregression;
use crate::scale::is_implausible;

/// Readings of a block.
const BLOCK: u8 = 4;
/// Lags of the autoregression, in blocks.
const LAGS: usize = 4;
/// The coefficients are renewed after this many learnt blocks.
const RENEWAL: u32 = 32;
/// Blocks that are learnt before the first forecast.
const FIRST_FORECAST: u32 = 20;
/// Number of first blocks that are not learnt if they are [implausible](is_implausible).
const FIRST_BLOCKS: u32 = 2;
/// A block farther than this many standard deviations from the mean counts as this far, and a
/// residual beyond this many usual ones counts as this many when it is learnt.
const CLIP: f64 = 6.0;
/// Upper bound of a residual.
const FARTHEST: f64 = 1e3;
/// Lower bound of the residual's usual size, as a part of the field's own spread. Below it there is
/// only rounding.
const LEAST: f64 = 1e-3;
/// Blocks that the moving mean of the residual reaches back.
const DRIFT_REACH: f64 = 8.0;
/// Blocks that the moving power of the residual reaches back.
const UNREST_REACH: f64 = 32.0;
/// A moving mean of independent residuals varies less than the residuals, by this factor.
const DRIFT_GAIN: f64 = 3.872_983_346_207_417; // √(2 · DRIFT_REACH − 1)

/// The forecast of the means of blocks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Coarse {
    /// Sum and number of the readings of the block that has begun.
    sum: f64,
    count: u8,
    mean: f64,
    /// Running autocovariances of the lags 0 to [`LAGS`].
    pub(super) covariances: [f64; LAGS + 1],
    coefficients: [f64; LAGS],
    /// Clipped distances of the last blocks from the mean, the newest first. The first one is the
    /// last observed block.
    blocks: [f64; LAGS + 1],
    /// Number of valid elements of `blocks`.
    known: u8,
    /// Number of learnt blocks.
    learnt: u32,
    /// Mean square of the forecast's error.
    pub(super) power: f64,
    #[serde(skip)]
    error: f64,
    residual: f64,
    drift: f64,
    unrest: f64,
    /// Whether the last observed reading has completed a block.
    #[serde(skip)]
    is_complete: bool,
}

impl Coarse {
    /// Creates a forecast that starts at a field's first coordinate.
    pub(super) fn new(coordinate: f64) -> Self {
        Self { mean: coordinate, ..Self::default() }
    }

    /// Forgets the last blocks, because a silence separates them from the next one.
    pub(super) fn restart(&mut self) {
        *self = Self { sum: 0.0, count: 0, known: 0, residual: 0.0, drift: 0.0, unrest: 0.0, ..*self };
    }

    /// Adds a reading to the block. Compares the block with its forecast once it is complete.
    pub(super) fn observe(&mut self, coordinate: f64, spread: f64) {
        self.sum += coordinate;
        self.count += 1;
        self.is_complete = self.count == BLOCK;
        if !self.is_complete {
            return;
        }
        let mut distance = self.sum / f64::from(BLOCK) - self.mean;
        (self.sum, self.count) = (0.0, 0);
        if self.learnt < FIRST_BLOCKS && is_implausible(distance, spread) {
            distance = 0.0;
        }
        let reach = CLIP * self.covariances[0].sqrt();
        let is_forecast = usize::from(self.known) >= LAGS && self.learnt >= FIRST_FORECAST;
        let expected = self.coefficients.iter().zip(&self.blocks).map(|(a, b)| a * b).sum::<f64>();
        self.error = if is_forecast { distance - expected } else { distance };
        let usual = self.power.sqrt().max(LEAST * spread);
        self.residual =
            if is_forecast && usual > 0.0 { (self.error / usual).clamp(-FARTHEST, FARTHEST) } else { 0.0 };
        let counted = self.residual.clamp(-CLIP, CLIP);
        self.drift += (counted - self.drift) / DRIFT_REACH;
        self.unrest += (counted * counted - self.unrest) / UNREST_REACH;
        self.blocks.copy_within(..LAGS, 1);
        self.blocks[0] = if reach > 0.0 { distance.clamp(-reach, reach) } else { distance };
        self.known = (self.known + 1).min(LAGS as u8 + 1);
    }

    /// Learns the last block if the last reading has completed it. `rate` is the weight of a
    /// reading.
    pub(super) fn learn(&mut self, rate: f64) {
        if !std::mem::take(&mut self.is_complete) {
            return;
        }
        let rate = (rate * f64::from(BLOCK)).min(1.0);
        let reach = CLIP * self.power.sqrt();
        let error = if reach > 0.0 { self.error.clamp(-reach, reach) } else { self.error };
        self.power += rate * (error * error - self.power);
        let last = self.blocks[0];
        for (covariance, block) in self.covariances.iter_mut().zip(&self.blocks[..usize::from(self.known)]) {
            *covariance += rate * (last * block - *covariance);
        }
        // The blocks are distances from the mean, so they move with it.
        let step = rate * last;
        self.mean += step;
        self.blocks.iter_mut().for_each(|block| *block -= step);
        self.learnt = self.learnt.saturating_add(1);
        if self.learnt.is_multiple_of(RENEWAL) || self.learnt == FIRST_FORECAST - 1 {
            self.coefficients = Autoregression::new(&self.covariances).coefficients;
        }
    }

    /// Returns three measures of the last block: the residual, its moving mean and its moving power. The
    /// first two have a sign.
    pub(super) fn measures(&self) -> [f64; 3] {
        let of = |number: f64| (2.0 * libm::log1p(number.abs())).copysign(number);
        [of(self.residual), of(DRIFT_GAIN * self.drift), of(self.unrest)]
    }

    /// Returns whether all numbers are finite and in range.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = [self.sum, self.mean, self.power, self.error, self.residual, self.drift, self.unrest];
        let all = numbers.iter().chain(&self.covariances).chain(&self.coefficients).chain(&self.blocks);
        self.count < BLOCK && usize::from(self.known) <= LAGS + 1 && all.copied().all(f64::is_finite)
    }
}
