//! Turns the measures of a sensor's forests into one number: how surprising a reading is, given the
//! sensor's whole past.
//!
//! Each forest measures in three ways how far a point stands apart. A single outlier shows in these
//! measures at once. A series that has changed shows in them as a small excess, again and again.
//! Therefore the exponentially moving mean of each measure is a measure too. Each measure becomes
//! −log10 of its [tail probability](crate::tail) against all its past values. The surprise is the
//! mean of all these rarities.
//!
//! The measures err in different ways and agree on real anomalies, so their mean detects more than
//! any single one. One case would drown in the mean: an anomaly that one view shows clearly and the
//! other views do not show, such as a spike on a level that drifts. Therefore the strongest view
//! also counts by itself.

use rrcf_rs::Score;
use serde::{Deserialize, Serialize};

use crate::tail::Tail;

/// Measures of each forest.
pub(crate) const MEASURES: usize = 3;
/// Names of a forest's measures, in order.
pub(crate) const MEASURE_NAMES: [&str; MEASURES] = ["codisp", "depth", "displacement"];
/// Leaves lie deeper in a tree with more points. Depths are scaled to those in a tree of 2^11
/// points.
const DOUBLINGS: f64 = 11.0;
/// Scales the inverse depth to about the size of the other two measures, because all histograms
/// have the same bin width.
const DEPTH_UNIT: f64 = 30.0;

/// The past of one measure and of its moving mean.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct MeasureHistory {
    past: Tail,
    mean: f64,
    past_means: Tail,
}

/// One measure of the last reading, and how rare it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MeasureRarity {
    /// Value of the measure.
    pub(crate) value: f64,
    /// −log10 of the value's tail probability.
    pub(crate) rarity: f64,
    /// Moving mean of the measure.
    pub(crate) mean: f64,
    /// −log10 of the moving mean's tail probability. `None` if the configuration has no moving
    /// means.
    pub(crate) mean_rarity: Option<f64>,
}

/// How surprising a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Surprise {
    /// Mean of all rarities: what all views agree on.
    pub(crate) mean: f64,
    /// For each view, the mean rarity of its measures; of these, the greatest.
    pub(crate) strongest_view: f64,
    /// Mean rarity of the measures without their moving means, over the views that remember no
    /// earlier readings. It says how surprising the reading is by itself.
    pub(crate) instantaneous: f64,
}

/// Weight of the strongest view by itself. With 0.5, it outweighs the mean only if the view is
/// twice as surprised.
const STRONGEST_VIEW_WEIGHT: f64 = 0.5;

/// The first two views, level and trend, show the present reading. The third, the moving spread,
/// remembers an outlier for many readings.
const PRESENT_VIEWS: usize = 2;

impl Surprise {
    /// Returns the surprise as one number: the mean, or half of the strongest view if that is more.
    pub(crate) fn value(self) -> f64 {
        self.mean.max(STRONGEST_VIEW_WEIGHT * self.strongest_view)
    }
}

/// The pasts of all measures of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct MeasureHistories {
    /// Forest by forest, [`MEASURES`] each.
    histories: Vec<MeasureHistory>,
    /// Of the last reading, in the same order.
    #[serde(skip)]
    rarities: Vec<MeasureRarity>,
}

impl MeasureHistories {
    /// Creates empty histories for the measures of `forests` forests.
    pub(crate) fn new(forests: usize) -> Self {
        Self { histories: vec![MeasureHistory::default(); MEASURES * forests], rarities: Vec::new() }
    }

    /// Compares a reading's measures with the past, and moves the means. `reach` is the number of
    /// readings that the moving means reach back; with 0 there are no means. The past itself
    /// changes in [`learn`](Self::learn).
    pub(crate) fn observe(&mut self, measures: &[[f64; MEASURES]], reach: f64) -> Surprise {
        self.rarities.clear();
        for (history, &value) in self.histories.iter_mut().zip(measures.as_flattened()) {
            let rarity = history.past.rarity(value);
            let mean_rarity = (reach > 0.0).then(|| {
                history.mean += (value - history.mean) / reach;
                history.past_means.rarity(history.mean)
            });
            self.rarities.push(MeasureRarity { value, rarity, mean: history.mean, mean_rarity });
        }
        self.surprise()
    }

    /// Returns how surprising the last observed reading was.
    pub(crate) fn surprise(&self) -> Surprise {
        let all = self.rarities.iter().flat_map(|measure| [Some(measure.rarity), measure.mean_rarity]);
        let of_views =
            self.rarities.chunks(MEASURES).map(|view| mean_of(view.iter().map(|measure| measure.rarity)));
        let present = self.rarities.iter().take(MEASURES * PRESENT_VIEWS);
        Surprise {
            mean: mean_of(all.flatten()),
            strongest_view: of_views.fold(0.0, f64::max),
            instantaneous: mean_of(present.map(|measure| measure.rarity)),
        }
    }

    /// Adds the last observed reading to the past.
    pub(crate) fn learn(&mut self) {
        for (history, measure) in self.histories.iter_mut().zip(&self.rarities) {
            if history.past.total() == 0 {
                history.mean = measure.value;
            }
            history.past.learn(measure.value);
            if measure.mean_rarity.is_some() {
                history.past_means.learn(history.mean);
            }
        }
    }

    /// Returns the rarity of each measure of the last observed reading, forest by forest.
    pub(crate) fn rarities(&self) -> &[MeasureRarity] {
        &self.rarities
    }

    /// Returns the number of readings in the past.
    pub(crate) fn past_readings(&self) -> u64 {
        self.histories.first().map_or(0, |history| history.past.total())
    }

    /// Returns whether these histories fit `forests` forests and are consistent.
    pub(crate) fn is_sound(&self, forests: usize) -> bool {
        let sound = |history: &MeasureHistory| {
            history.past.is_sound() && history.past_means.is_sound() && history.mean.is_finite()
        };
        self.histories.len() == MEASURES * forests && self.histories.iter().all(sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let pasts = self
            .histories
            .iter()
            .map(|history| history.past.memory_usage() + history.past_means.memory_usage());
        pasts.sum::<usize>()
            + self.histories.capacity() * size_of::<MeasureHistory>()
            + self.rarities.capacity() * size_of::<MeasureRarity>()
    }
}

/// Returns the mean of the values, summed in their order; 0 if there are none.
fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Returns three measures of how far a point stands apart. Each grows with the distance, and is
/// compressed tree by tree so that an exponential tail fits it. `points` is the number of points
/// that the forest holds.
pub(crate) fn measures_of(score: &Score, points: usize) -> [f64; MEASURES] {
    let doublings = libm::log2(points.max(2) as f64);
    [score.log_codisp, DEPTH_UNIT * score.inverse_depth * doublings / DOUBLINGS, score.log_displacement]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm(i: u32) -> [[f64; MEASURES]; 1] {
        [[f64::from(i * 7_919 % 97) / 50.0; MEASURES]]
    }

    fn after_calm() -> MeasureHistories {
        let mut histories = MeasureHistories::new(1);
        for i in 0..2_000 {
            histories.observe(&calm(i), 20.0);
            histories.learn();
        }
        histories
    }

    #[test]
    fn a_greater_measure_is_more_surprising() {
        let surprises: Vec<f64> = [1.0, 1.9, 3.0, 6.0]
            .iter()
            .map(|&value| after_calm().observe(&[[value; MEASURES]], 20.0).mean)
            .collect();
        assert!(surprises.is_sorted_by(|a, b| a < b), "{surprises:?}");
    }

    #[test]
    fn a_small_excess_again_and_again_is_surprising() {
        let mut histories = after_calm();
        let first = histories.observe(&[[1.85; MEASURES]], 20.0).mean;
        let mut last = first;
        for _ in 0..30 {
            last = histories.observe(&[[1.85; MEASURES]], 20.0).mean;
        }
        assert!(last > 2.0 * first, "{first} became {last}");
    }

    #[test]
    fn a_learnt_value_surprises_less() {
        let mut histories = after_calm();
        let first = histories.observe(&[[5.0; MEASURES]], 20.0).mean;
        for _ in 0..300 {
            histories.observe(&[[5.0; MEASURES]], 20.0);
            histories.learn();
        }
        let last = histories.observe(&[[5.0; MEASURES]], 20.0).mean;
        assert!(last < 0.2 * first, "{first} became {last}");
    }
}
