//! From the measures of a sensor's forests to one figure: how surprising is a reading, given the sensor's whole past?
//!
//! Each forest measures in three ways how far a point stands apart. A single point that stands far apart shows in these at once; a
//! series that has changed shows in them as a little more than usual, again and again, so the exponentially moving mean of
//! each measure is a measure too. Each becomes −log10 of its [tail probability](crate::tail) against all its past values, and the surprise is
//! the mean over all. The measures err in different ways, and agree on what matters: their mean finds more than any of them. Only what
//! one view sees alone, and sees clearly, such as a spike on a level that drifts, would drown in it, so it counts by itself too.

use rrcf_rs::Score;
use serde::{Deserialize, Serialize};

use crate::tail::Tail;

/// Ways in which a forest measures.
pub(crate) const WAYS: usize = 3;
/// Their names, in order.
pub(crate) const NAMES: [&str; WAYS] = ["codisp", "depth", "displacement"];
/// Leaves lie deeper the more points a tree holds: depths are brought to those of a tree of this many doublings.
const DOUBLINGS: f64 = 11.0;
/// Brings the inverse depth to about the size of the other two measures, whose bins have the same width.
const DEPTH_UNIT: f64 = 30.0;

/// One measure's past, and that of its moving mean.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Gauge {
    past: Tail,
    mean: f64,
    past_means: Tail,
}

/// What one measure said of the last reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// The measure.
    pub(crate) value: f64,
    /// −log10 of its tail probability.
    pub(crate) rarity: f64,
    /// Its moving mean.
    pub(crate) mean: f64,
    /// −log10 of the moving mean's tail probability; nothing if there are no means.
    pub(crate) mean_rarity: Option<f64>,
}

/// How surprising a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Judgement {
    /// The mean of all rarities: what all views agree on.
    pub(crate) mean: f64,
    /// The greatest mean rarity of one view's measures: what only one of them sees.
    pub(crate) loudest: f64,
    /// The mean rarity of the measures without their moving means, in the views without a memory of their own: what is surprising right now.
    pub(crate) now: f64,
}

/// How much of what only one view sees counts. At a half, it outweighs the mean of all only where it is far out.
const ALONE: f64 = 0.5;

/// The first so many views look at the present: level and trend. A moving spread remembers an outlier for long.
const PRESENT: usize = 2;

impl Judgement {
    /// The surprise: the mean, unless one view by itself is surprised by twice as much.
    pub(crate) fn surprise(self) -> f64 {
        self.mean.max(ALONE * self.loudest)
    }
}

/// The pasts of all measures of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Surprise {
    gauges: Vec<Gauge>,
    #[serde(skip)]
    verdicts: Vec<Verdict>,
}

impl Surprise {
    /// For so many forests.
    pub(crate) fn new(forests: usize) -> Self {
        Self { gauges: vec![Gauge::default(); WAYS * forests], verdicts: Vec::new() }
    }

    /// The surprise of a reading, by what the forests say of it. `reach` is how many readings the moving means go back; 0: there are none.
    pub(crate) fn judge(&mut self, measures: &[[f64; WAYS]], reach: f64) -> Judgement {
        self.verdicts.clear();
        for (gauge, &value) in self.gauges.iter_mut().zip(measures.as_flattened()) {
            let rarity = gauge.past.rarity(value);
            let mean_rarity = (reach > 0.0).then(|| {
                gauge.mean += (value - gauge.mean) / reach;
                gauge.past_means.rarity(gauge.mean)
            });
            self.verdicts.push(Verdict { value, rarity, mean: gauge.mean, mean_rarity });
        }
        self.judgement()
    }

    /// How surprising the last reading was.
    pub(crate) fn judgement(&self) -> Judgement {
        let rarities = self.verdicts.iter().flat_map(|verdict| [Some(verdict.rarity), verdict.mean_rarity]);
        let of_views = self.verdicts.chunks(WAYS).map(|view| mean(view.iter().map(|verdict| verdict.rarity)));
        Judgement {
            mean: mean(rarities.flatten()),
            loudest: of_views.fold(0.0, f64::max),
            now: mean(self.verdicts.iter().take(WAYS * PRESENT).map(|verdict| verdict.rarity)),
        }
    }

    /// Adds the reading judged last to the past.
    pub(crate) fn learn(&mut self) {
        for (gauge, verdict) in self.gauges.iter_mut().zip(&self.verdicts) {
            if gauge.past.total() == 0 {
                gauge.mean = verdict.value;
            }
            gauge.past.learn(verdict.value);
            if verdict.mean_rarity.is_some() {
                gauge.past_means.learn(gauge.mean);
            }
        }
    }

    /// What each measure said of the last reading, forest by forest.
    pub(crate) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Readings that the pasts rest on.
    pub(crate) fn past(&self) -> u64 {
        self.gauges.first().map_or(0, |gauge| gauge.past.total())
    }

    /// Whether it could be the past of so many forests.
    pub(crate) fn is_sound(&self, forests: usize) -> bool {
        let sound =
            |gauge: &Gauge| gauge.past.is_sound() && gauge.past_means.is_sound() && gauge.mean.is_finite();
        self.gauges.len() == WAYS * forests && self.gauges.iter().all(sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let pasts =
            self.gauges.iter().map(|gauge| gauge.past.memory_usage() + gauge.past_means.memory_usage());
        pasts.sum::<usize>()
            + self.gauges.capacity() * size_of::<Gauge>()
            + self.verdicts.capacity() * size_of::<Verdict>()
    }
}

/// The mean of some figures, summed in their order; 0 if there are none.
fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = figures.fold((0.0, 0.0), |(sum, count), figure| (sum + figure, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Three views of how far a point stands apart, each growing with it and compressed, tree by tree, so that a tail fits. `points` is
/// how many the forest holds.
pub(crate) fn measures(score: &Score, points: usize) -> [f64; WAYS] {
    let doublings = libm::log2(points.max(2) as f64);
    [score.log_codisp, DEPTH_UNIT * score.inverse_depth * doublings / DOUBLINGS, score.log_displacement]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm(i: u32) -> [[f64; WAYS]; 1] {
        [[f64::from(i * 7_919 % 97) / 50.0; WAYS]]
    }

    fn settled() -> Surprise {
        let mut surprise = Surprise::new(1);
        for i in 0..2_000 {
            surprise.judge(&calm(i), 20.0);
            surprise.learn();
        }
        surprise
    }

    #[test]
    fn what_stands_apart_more_is_more_surprising() {
        let judged: Vec<f64> =
            [1.0, 1.9, 3.0, 6.0].iter().map(|&value| settled().judge(&[[value; WAYS]], 20.0).mean).collect();
        assert!(judged.is_sorted_by(|a, b| a < b), "{judged:?}");
    }

    #[test]
    fn a_little_more_than_usual_again_and_again_is_surprising() {
        let mut surprise = settled();
        let first = surprise.judge(&[[1.85; WAYS]], 20.0).mean;
        let mut last = first;
        for _ in 0..30 {
            last = surprise.judge(&[[1.85; WAYS]], 20.0).mean;
        }
        assert!(last > 2.0 * first, "{first} became {last}");
    }

    #[test]
    fn what_is_learnt_surprises_less() {
        let mut surprise = settled();
        let first = surprise.judge(&[[5.0; WAYS]], 20.0).mean;
        for _ in 0..300 {
            surprise.judge(&[[5.0; WAYS]], 20.0);
            surprise.learn();
        }
        let last = surprise.judge(&[[5.0; WAYS]], 20.0).mean;
        assert!(last < 0.2 * first, "{first} became {last}");
    }
}
