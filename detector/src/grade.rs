//! From a forest's measures to one grade that means the same on every sensor.
//!
//! 1. *Two measures*, each growing with how far a point stands apart: ln(1 + collusive displacement), and 30 / (1 + depth) with the
//!    depth brought to a tree of 2,048 points. (The displacement of the point alone, a third candidate, says what
//!    collusive displacement says, with more noise.)
//! 2. *Each against its past*: −log10 of its tail probability among all past values of the sensor.
//! 3. *Their mean*, in which the depth counts double, being the steadier. The mean of two such figures is not one itself, as the
//!    two agree only in part: how much is different from sensor to sensor. So it is held against its own past once more, by
//!    a tail of many values and by one of few, and the more cautious answer s counts.
//! 4. *grade* = s / (1 + s).
//!
//! # What is not the normal past
//!
//! The readings of a disturbance resemble each other. If all of them were remembered as normal, the second disturbance of
//! an hour would not be found; if none were, a sensor whose nature it is to jump would be alarming for ever. So a
//! disturbance counts as one reading: its first is learnt, the others are not. (Peaks-over-threshold calls that
//! declustering.) One that lasts is the new normal after [`PATIENCE`] readings.

use rrcf_rs::Score;

use crate::tail::Tail;

/// Values that make the tail of a measure.
const MEASURE_TAIL: f64 = 200.0;

/// Values that make the two tails of the mean.
const MEAN_TAILS: [f64; 2] = [800.0, 200.0];

/// A reading at least this rare (−log10 of a probability) begins a disturbance.
const DISTURBING: f64 = 3.0;

/// A disturbance, and an event, lasts while readings are at least this rare: one in twenty.
pub(crate) const LASTING: f64 = 1.3;

/// Usual readings that end a disturbance. A sound that comes and goes is one disturbance.
const CALM: u32 = 5;

/// Readings of a disturbance that are left out, at most.
const PATIENCE: u32 = 32;

/// Before so many values are known, nothing is left out: what is rare is not known well enough.
const YOUNG: u64 = 128;

/// How deep a tree's leaves lie grows with the logarithm of its points: this is log2 of the yardstick, 2,048 points.
const DOUBLINGS: f64 = 11.0;

/// The calibration of one sensor: the past of each measure and of their mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) codisp: Tail,
    pub(crate) depth: Tail,
    pub(crate) mean: Tail,
    pub(crate) disturbance: Disturbance,
}

impl Calibration {
    /// How rare the score is in the sensor's past, as −log10 of a probability. The past then includes it, unless it is part
    /// of a disturbance. `points` is how many the forest holds.
    pub(crate) fn judge(&mut self, score: &Score, points: usize) -> f64 {
        let codisp = libm::log1p(score.codisp);
        let depth = 30.0 / (1.0 + score.depth * DOUBLINGS / libm::log2(points.max(2) as f64));
        let mean =
            (self.codisp.rarity(codisp, MEASURE_TAIL) + 2.0 * self.depth.rarity(depth, MEASURE_TAIL)) / 3.0;
        let [many, few] = MEAN_TAILS.map(|enough| self.mean.rarity(mean, enough));
        let rarity = many.min(few);
        let normal = self.disturbance.follow(rarity);
        if normal || self.mean.total() < YOUNG {
            self.codisp.learn(codisp);
            self.depth.learn(depth);
            self.mean.learn(mean);
        }
        rarity
    }

    pub(crate) fn memory_usage(&self) -> usize {
        [&self.codisp, &self.depth, &self.mean].map(Tail::memory_usage).iter().sum()
    }
}

/// A run of unusual readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disturbance {
    /// Its readings so far; 0 without one.
    pub(crate) readings: u32,
    /// The last of them that were usual again.
    pub(crate) calm: u32,
}

impl Disturbance {
    /// Follows the course of things by one reading, and says whether that reading belongs to the normal past.
    fn follow(&mut self, rarity: f64) -> bool {
        let going_on = self.readings > 0;
        if rarity >= DISTURBING || (going_on && rarity >= LASTING) {
            self.readings = self.readings.saturating_add(1);
            self.calm = 0;
        } else if going_on && self.calm < CALM {
            self.readings = self.readings.saturating_add(1);
            self.calm += 1;
        } else {
            *self = Self::default();
        }
        self.readings <= 1 || self.readings > PATIENCE
    }
}

/// The grade of a rarity: 0 to 1, monotone.
pub(crate) fn grade(rarity: f64) -> f64 {
    rarity / (1.0 + rarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codisp: f64) -> Score {
        Score { codisp, depth: 12.0 - codisp.min(10.0), ..Score::default() }
    }

    #[test]
    fn what_stands_apart_more_is_rarer() {
        let mut calibration = Calibration::default();
        for i in 0..2_000 {
            calibration.judge(&score(f64::from(i % 97) / 30.0), 2_048);
        }
        let rarities: Vec<f64> = [1.0, 3.0, 3.4, 3.8]
            .iter()
            .map(|&codisp| calibration.clone().judge(&score(codisp), 2_048))
            .collect();
        assert!(rarities.is_sorted_by(|a, b| a < b), "{rarities:?}");
    }

    #[test]
    fn a_disturbance_counts_once_until_it_is_the_new_normal() {
        let mut calibration = Calibration::default();
        for i in 0..2_000 {
            calibration.judge(&score(f64::from(i % 97) / 30.0), 2_048);
        }
        let before = calibration.mean.total();
        for i in 0..PATIENCE {
            assert!(calibration.judge(&score(50.0), 2_048) > LASTING, "at {i}");
        }
        assert_eq!(calibration.mean.total(), before + 1);
        for _ in 0..1_000 {
            calibration.judge(&score(50.0), 2_048);
        }
        assert!(calibration.judge(&score(50.0), 2_048) < 1.0);
    }

    #[test]
    fn a_disturbance_survives_a_short_calm() {
        let course = |rarities: &[f64]| {
            let mut disturbance = Disturbance::default();
            rarities.iter().map(|&rarity| disturbance.follow(rarity)).collect::<Vec<_>>()
        };
        assert_eq!(course(&[2.9, 3.0, 1.3, 0.0, 3.0]), [true, true, false, false, false]);
        assert_eq!(
            course(&[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0]),
            [true, false, false, false, false, false, true, true]
        );
    }

    #[test]
    fn a_grade_is_monotone_and_below_one() {
        assert_eq!(grade(0.0), 0.0);
        assert_eq!(grade(4.0), 0.8);
        assert!(grade(300.0) < 1.0);
    }
}
