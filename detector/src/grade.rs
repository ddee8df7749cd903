//! From a forest's three measures to one grade that means the same on every sensor.

use rrcf_rs::Score;

use crate::tail::Tail;

/// A reading at least this rare (−log10 of a probability) disturbs the sensor: what follows may not be its normal past.
const DISTURBED: f64 = 4.0;
/// A disturbance, and an event, lasts while readings are at least this rare.
pub(crate) const LASTING: f64 = 2.0;
/// A disturbance that lasts longer than this many readings is the new normal and is learnt.
const PATIENCE: u32 = 128;
/// Before so many readings, what is rare is not known well enough to leave anything out.
const YOUNG: u64 = 300;
/// Depth of a leaf in a tree of this many doublings is the yardstick for trees that hold fewer points.
const DOUBLINGS: f64 = 11.0;

/// The calibration of one sensor: the past of each measure, and that of their mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) measures: [Tail; 3],
    pub(crate) joint: Tail,
    /// Readings since the disturbance began that goes on; 0 without one.
    pub(crate) disturbed: u32,
}

impl Calibration {
    /// How rare the score is in the sensor's past, as −log10 of a probability. The past then includes it, unless a
    /// disturbance goes on. `points` is how many the forest holds.
    ///
    /// The mean of three tail probabilities is not one itself: it is calibrated against its own past.
    pub(crate) fn judge(&mut self, score: &Score, points: usize) -> f64 {
        let measures = measures(score, points);
        let mut mean = 0.0;
        for (tail, &measure) in self.measures.iter().zip(&measures) {
            mean += tail.rarity(measure) / 3.0;
        }
        let rarity = self.joint.rarity(mean);
        let goes_on = self.disturbed > 0 && rarity >= LASTING;
        self.disturbed = if rarity >= DISTURBED || goes_on { self.disturbed.saturating_add(1) } else { 0 };
        if self.disturbed <= 1 || self.disturbed > PATIENCE || self.joint.total() < YOUNG {
            for (tail, &measure) in self.measures.iter_mut().zip(&measures) {
                tail.learn(measure);
            }
            self.joint.learn(mean);
        }
        rarity
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.measures.iter().map(Tail::memory_usage).sum::<usize>() + self.joint.memory_usage()
    }
}

/// Three views of how far a point stands apart, each growing with it and compressed so that a tail fits. Leaves lie deeper the
/// more points a tree holds; depths are brought to those of a full default window.
fn measures(score: &Score, points: usize) -> [f64; 3] {
    let doublings = libm::log2(points.max(2) as f64);
    let depth = score.depth * DOUBLINGS / doublings;
    [libm::log1p(score.codisp), 30.0 / (1.0 + depth), libm::log1p(score.displacement)]
}

/// The grade of a rarity: 0 to 1, monotone.
pub(crate) fn grade(rarity: f64) -> f64 {
    rarity / (1.0 + rarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codisp: f64) -> Score {
        Score { codisp, displacement: codisp, depth: 12.0 - codisp.min(10.0) / 2.0 }
    }

    #[test]
    fn what_stands_apart_more_is_rarer() {
        let mut calibration = Calibration::default();
        for i in 0..2_000 {
            calibration.judge(&score(f64::from(i % 97) / 30.0), 2_048);
        }
        let rarities: Vec<f64> = [1.0, 3.0, 10.0, 100.0]
            .iter()
            .map(|&codisp| calibration.clone().judge(&score(codisp), 2_048))
            .collect();
        assert!(rarities.is_sorted_by(|a, b| a < b), "{rarities:?}");
    }

    #[test]
    fn a_lasting_disturbance_is_not_learnt_at_once_but_in_the_end() {
        let mut calibration = Calibration::default();
        for i in 0..2_000 {
            calibration.judge(&score(f64::from(i % 97) / 30.0), 2_048);
        }
        let first = calibration.judge(&score(50.0), 2_048);
        for _ in 0..100 {
            assert!(calibration.judge(&score(50.0), 2_048) > LASTING);
        }
        for _ in 0..3_000 {
            calibration.judge(&score(50.0), 2_048);
        }
        assert!(calibration.judge(&score(50.0), 2_048) < 1.0, "began at {first}");
    }

    #[test]
    fn a_grade_is_monotone_and_below_one() {
        assert_eq!(grade(0.0), 0.0);
        assert_eq!(grade(4.0), 0.8);
        assert!(grade(300.0) < 1.0);
    }
}
