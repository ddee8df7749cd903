//! From a forest's three measures to one grade that means the same on every sensor.

use rrcf_rs::Score;

use crate::tail::Tail;

/// A reading at least this rare (−log10 of a probability) disturbs the sensor: it, and what follows while the disturbance
/// lasts, is not taken for the sensor's normal past.
const DISTURBED: f64 = 2.5;
/// A disturbance, and an event, lasts while readings are at least this rare.
pub(crate) const LASTING: f64 = 2.0;
/// A disturbance that lasts longer than this many readings is the new normal and is learnt.
const PATIENCE: u32 = 128;
/// Before so many readings, what is rare is not known well enough to leave anything out.
const YOUNG: u64 = 300;
/// Leaves lie deeper the more points a tree holds: depths are brought to those of a tree of this many doublings.
const DOUBLINGS: f64 = 11.0;
/// Brings the inverse depth to about the size of the other two measures, whose bins have the same width.
const DEPTH_UNIT: f64 = 30.0;

/// The calibration of one sensor: the past of each measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) measures: [Tail; 3],
    /// Readings since the disturbance began that goes on; 0 without one.
    pub(crate) disturbed: u32,
}

impl Calibration {
    /// How rare the score is in the sensor's past, as −log10 of a probability: the mean of what the three measures say. The
    /// past then includes it, unless it disturbs. `points` is how many the forest holds.
    ///
    /// The mean of three such figures is not exactly one itself, but close: the measures agree on what is far out, and
    /// `tests/calibration.rs` holds it to that.
    pub(crate) fn judge(&mut self, score: &Score, points: usize) -> f64 {
        let measures = measures(score, points);
        let mut rarity = 0.0;
        for (tail, &measure) in self.measures.iter().zip(&measures) {
            rarity += tail.rarity(measure) / 3.0;
        }
        let goes_on = self.disturbed > 0 && rarity >= LASTING;
        self.disturbed = if rarity >= DISTURBED || goes_on { self.disturbed.saturating_add(1) } else { 0 };
        let young = self.measures[0].total() < YOUNG;
        if self.disturbed == 0 || self.disturbed > PATIENCE || young {
            for (tail, &measure) in self.measures.iter_mut().zip(&measures) {
                tail.learn(measure);
            }
        }
        rarity
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.measures.iter().map(Tail::memory_usage).sum()
    }
}

/// Three views of how far a point stands apart, each growing with it and compressed, tree by tree, so that a tail fits.
fn measures(score: &Score, points: usize) -> [f64; 3] {
    let doublings = libm::log2(points.max(2) as f64);
    [score.log_codisp, DEPTH_UNIT * score.inverse_depth * doublings / DOUBLINGS, score.log_displacement]
}

/// The grade of a rarity: 0 to 1, monotone.
pub(crate) fn grade(rarity: f64) -> f64 {
    rarity / (1.0 + rarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codisp: f64) -> Score {
        Score {
            log_codisp: libm::log1p(codisp),
            log_displacement: libm::log1p(codisp),
            inverse_depth: 1.0 / (13.0 - codisp.min(10.0)),
            ..Score::default()
        }
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
