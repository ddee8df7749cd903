//! Turns the measures of a sensor into one number: how surprising a reading is, given the sensor's
//! whole past.
//!
//! The measures come in *views*: the level (the forest), and the residuals of the forecasts. A
//! single outlier shows in them at once. A series that has changed shows in them as a small excess,
//! again and again. Therefore two exponentially moving means of each measure, a short and a long
//! one, are measures too. Each measure becomes −log10 of its [tail probability](crate::tail)
//! against all its past values.
//!
//! Within a view, the greatest of the three counts most, because an anomaly is either short or
//! long: they are combined as a power mean. The surprise is the weighted mean of the views. They
//! err in different ways and agree on real anomalies, so their mean detects more than any single
//! one. One case would drown in the mean: an anomaly that one view shows clearly and the other
//! views do not show. Therefore the strongest view also counts by itself.

use rrcf_rs::Score;
use serde::{Deserialize, Serialize};

use crate::caution::LearningPace;
use crate::signed_tail::SignedTail;
use crate::tail::Tail;

/// Measures of the forest.
pub(crate) const FOREST_MEASURES: usize = 3;
/// Leaves lie deeper in a tree with more points. Depths are scaled to those in a tree of 2^11
/// points.
const DOUBLINGS: f64 = 11.0;
/// Scales the inverse depth to about the size of the other two measures, because all histograms
/// have the same bin width.
const DEPTH_UNIT: f64 = 30.0;

/// A group of measures that ask the same question.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) measures: &'static [&'static str],
    /// The first measures, as many as this, show the present reading. The others also remember
    /// earlier ones.
    present: usize,
    /// The first measures, as many as this, have a sign.
    signed: usize,
    /// Weight in the mean of all views.
    weight: f64,
}

impl View {
    const fn new(name: &'static str, measures: &'static [&'static str], present: usize) -> Self {
        Self { name, measures, present, signed: 0, weight: 1.0 }
    }

    const fn weighing(self, weight: f64) -> Self {
        Self { weight, ..self }
    }

    const fn with_signs(self, signed: usize) -> Self {
        Self { signed, ..self }
    }

    /// Returns empty histories of its measures.
    fn histories(&self) -> impl Iterator<Item = MeasureHistory> {
        (0..self.measures.len()).map(|measure| MeasureHistory::new(measure < self.signed))
    }
}

/// The relation of two values can change slowly without a fault.
const WEIGHT_OF_RELATIONS: f64 = 0.5;
/// Slow changes show most clearly in the courses.
const WEIGHT_OF_COURSES: f64 = 1.5;

const LEVEL: View = View::new("level", &["codisp", "depth", "displacement"], 3);
const FORECAST: View = View::new("forecast", &["residual", "drift", "unrest"], 1).with_signs(2);
const COURSE: View = View::new("course", &["residual", "drift", "unrest", "discord"], 0)
    .with_signs(2)
    .weighing(WEIGHT_OF_COURSES);
/// Of several fields, the level and the relations judge the values of one reading, and the other five
/// views judge their course in time.
const LEVEL_OF_FIELDS: View = LEVEL.weighing(3.0);
const RESIDUALS: View = View::new("residuals", &["mean", "joint"], 2);
const FIELD: View = View::new("field", &["greatest"], 1);
const LASTING: View = View::new("lasting", &["greatest", "mean", "joint"], 0);
const COURSES: View = View::new("courses", &["greatest", "mean"], 0).weighing(WEIGHT_OF_COURSES);
const RELATIONS: View = View::new("relations", &["greatest", "mean"], 0).weighing(WEIGHT_OF_RELATIONS);
const COINCIDENCE: View = View::new("coincidence", &["second"], 1);

const OF_LEVEL: [View; 1] = [LEVEL];
const OF_ONE_FIELD: [View; 3] = [LEVEL, FORECAST, COURSE];
const OF_FIELDS: [View; 7] = [LEVEL_OF_FIELDS, FIELD, RESIDUALS, LASTING, COURSES, RELATIONS, COINCIDENCE];

/// Returns the views of a sensor, the level first. Without moving means there is only the level.
pub(crate) fn views(fields: usize, with_means: bool) -> &'static [View] {
    match (with_means, fields) {
        (false, _) => &OF_LEVEL,
        (true, ..=1) => &OF_ONE_FIELD,
        (true, _) => &OF_FIELDS,
    }
}

/// A rarity beyond this counts only in part: the past is too short to support it, and no measure
/// should outweigh all others.
const SUPPORTED: f64 = 5.0;
/// The part of a rarity beyond [`SUPPORTED`] that counts.
const UNSUPPORTED_PART: f64 = 1.0 / 16.0;

/// The long moving means reach back this many times as far as the short ones.
const LONG_REACH: f64 = 4.0;

/// The past of one measure and of the moving means of its size.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct MeasureHistory {
    past: SignedTail,
    short: MovingMean,
    long: MovingMean,
}

/// An exponentially moving mean of a measure's size, and its past.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct MovingMean {
    mean: f64,
    /// The moving mean of the values that the past learns. It is another one during
    /// [caution](crate::caution).
    learnt: f64,
    past: Tail,
}

/// A measure of a reading or its moving mean, and how rare that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RatedValue {
    /// The value, without its sign.
    pub value: f64,
    /// −log10 of the value's tail probability in the sensor's past.
    pub rarity: f64,
}

/// One measure of the last reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MeasureRarity {
    pub(crate) present: RatedValue,
    /// `None` if the configuration has no moving means.
    pub(crate) means: Option<MovingMeans>,
}

/// The moving means of a measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MovingMeans {
    /// Over a quarter of `smoothing` readings.
    pub short: RatedValue,
    /// Over `smoothing` readings.
    pub long: RatedValue,
}

/// How surprising a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Surprise {
    /// Weighted mean of the views: what they agree on.
    pub(crate) mean: f64,
    /// For each view, the mean rarity of its measures, without their moving means; of these, the
    /// greatest.
    pub(crate) strongest_view: f64,
    /// Mean rarity of the measures that show the present reading, without their moving means. It
    /// says how surprising the reading is by itself.
    pub(crate) instantaneous: f64,
    /// Mean of the rarities of the measures and of their long moving means, with the weights that rank
    /// the beginnings of anomalies best.
    pub(crate) onset: f64,
}

/// Weight of the strongest view by itself. With 0.5, it outweighs the mean only if the view is
/// twice as surprised.
const STRONGEST_VIEW_WEIGHT: f64 = 0.5;

/// Weight of the level in [`Surprise::onset`]; the other views share the rest.
const ONSET_LEVEL: f64 = 0.8;

impl Surprise {
    /// Returns the surprise as one number: the mean, or half of the strongest view if that is more.
    pub(crate) fn value(self) -> f64 {
        self.mean.max(STRONGEST_VIEW_WEIGHT * self.strongest_view)
    }
}

/// The pasts of all measures of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct MeasureHistories {
    /// View by view.
    histories: Vec<MeasureHistory>,
    /// Of the last reading, in the same order.
    #[serde(skip)]
    rarities: Vec<MeasureRarity>,
}

impl MeasureHistories {
    /// Creates empty histories for the measures of these views.
    pub(crate) fn new(views: &[View]) -> Self {
        Self { histories: views.iter().flat_map(View::histories).collect(), rarities: Vec::new() }
    }

    /// Compares a reading's measures with the past, and moves the means. `reach` is the number of
    /// readings that the long moving means reach back; with 0 there are no means. `to_learn` are the
    /// measures that [`learn`](Self::learn) will add to the past.
    pub(crate) fn observe(
        &mut self,
        views: &[View],
        measures: &[f64],
        to_learn: &[f64],
        pace: LearningPace,
        reach: f64,
    ) -> Surprise {
        self.rarities.clear();
        for ((history, &value), &to_learn) in self.histories.iter_mut().zip(measures).zip(to_learn) {
            let present = RatedValue { value: value.abs(), rarity: supported(history.past.rarity(value)) };
            let (value, to_learn) = (value.abs(), to_learn.abs());
            // A reach of less than one reading would move a mean beyond the value.
            let means = (reach > 0.0).then(|| MovingMeans {
                short: history.short.observe(value, to_learn, pace, (reach / LONG_REACH).max(1.0)),
                long: history.long.observe(value, to_learn, pace, reach),
            });
            self.rarities.push(MeasureRarity { present, means });
        }
        self.surprise(views)
    }

    /// Returns how surprising the last observed reading was.
    pub(crate) fn surprise(&self, views: &[View]) -> Surprise {
        let mut surprise = Surprise::default();
        let (mut present, mut count) = (0.0, 0.0);
        let count_of_views = views.len() as f64;
        let weights: f64 = views.iter().map(|view| view.weight).sum();
        for (number, (view, rarities)) in self.of_views(views).enumerate() {
            let mean_rarity = |of: fn(&MeasureRarity) -> Option<RatedValue>| {
                mean_of(rarities.iter().filter_map(of).map(|rated| rated.rarity))
            };
            let own = mean_rarity(|measure| Some(measure.present));
            let (combined, for_onset) = if rarities[0].means.is_some() {
                let short = mean_rarity(|measure| measure.means.map(|means| means.short));
                let long = mean_rarity(|measure| measure.means.map(|means| means.long));
                (combine(own, short, long), f64::midpoint(own, long))
            } else {
                (own, own)
            };
            surprise.mean += view.weight * combined / weights;
            let in_onset = if views.len() == 1 {
                1.0
            } else if number == 0 {
                ONSET_LEVEL
            } else {
                (1.0 - ONSET_LEVEL) / (count_of_views - 1.0)
            };
            surprise.onset += in_onset * for_onset;
            surprise.strongest_view = surprise.strongest_view.max(own);
            present += rarities[..view.present].iter().map(|measure| measure.present.rarity).sum::<f64>();
            count += view.present as f64;
        }
        surprise.instantaneous = present / f64::max(count, 1.0);
        surprise
    }

    /// Adds the measures `to_learn` of the last observed reading to the past.
    pub(crate) fn learn(&mut self, to_learn: &[f64]) {
        let histories = self.histories.iter_mut().zip(&self.rarities).zip(to_learn);
        for ((history, measure), &to_learn) in histories {
            let is_first = history.past.total() == 0;
            history.past.learn(to_learn);
            if measure.means.is_some() {
                for mean in [&mut history.short, &mut history.long] {
                    if is_first {
                        (mean.mean, mean.learnt) = (measure.present.value, to_learn.abs());
                    }
                    mean.past.learn(mean.learnt);
                }
            }
        }
    }

    /// Returns each view with the rarities of its measures of the last observed reading. Empty
    /// before the first one.
    pub(crate) fn of_views<'a>(
        &'a self,
        views: &'a [View],
    ) -> impl Iterator<Item = (&'a View, &'a [MeasureRarity])> {
        let mut rest = self.rarities.as_slice();
        views.iter().map_while(move |view| {
            let (own, others) = rest.split_at_checked(view.measures.len())?;
            rest = others;
            Some((view, own))
        })
    }

    /// Returns the number of readings in the past.
    pub(crate) fn past_readings(&self) -> u64 {
        self.histories.first().map_or(0, |history| history.past.total())
    }

    /// Returns whether these histories fit the views and are consistent.
    pub(crate) fn is_sound(&self, views: &[View]) -> bool {
        let sound = |(history, new): (&MeasureHistory, MeasureHistory)| {
            history.past.is_sound()
                && history.past.has_sign() == new.past.has_sign()
                && history.short.is_sound()
                && history.long.is_sound()
        };
        let new = views.iter().flat_map(View::histories);
        self.histories.len() == measures(views) && self.histories.iter().zip(new).all(sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let pasts = self.histories.iter().map(|history| {
            let of_means = [&history.short.past, &history.long.past].map(Tail::memory_usage);
            history.past.memory_usage() + of_means.into_iter().sum::<usize>()
        });
        pasts.sum::<usize>()
            + self.histories.capacity() * size_of::<MeasureHistory>()
            + self.rarities.capacity() * size_of::<MeasureRarity>()
    }
}

impl MeasureHistory {
    /// Creates an empty history of a measure with or without a sign.
    fn new(has_sign: bool) -> Self {
        Self { past: SignedTail::new(has_sign), short: MovingMean::default(), long: MovingMean::default() }
    }
}

impl MovingMean {
    /// Moves the mean by a value, over `reach` readings, and returns the mean and its rarity.
    fn observe(&mut self, value: f64, to_learn: f64, pace: LearningPace, reach: f64) -> RatedValue {
        // At full pace the adapted models are in use, and at the slow pace they are dropped: both
        // means are the same.
        match pace {
            LearningPace::Full => self.mean = self.learnt,
            LearningPace::Slow => self.learnt = self.mean,
            LearningPace::Cautious => {}
        }
        self.mean += (value - self.mean) / reach;
        self.learnt += (to_learn - self.learnt) / reach;
        RatedValue { value: self.mean, rarity: supported(self.past.rarity(self.mean)) }
    }

    fn is_sound(&self) -> bool {
        self.past.is_sound() && self.mean.is_finite() && self.learnt.is_finite()
    }
}

/// Combines the rarities of a view in this reading, in the short mean and in the long mean: their
/// power mean of order four, in which the long mean has half of the weight.
fn combine(own: f64, short: f64, long: f64) -> f64 {
    let fourth_power = |rarity: f64| (rarity * rarity) * (rarity * rarity);
    let mean = (fourth_power(own) + fourth_power(short) + 2.0 * fourth_power(long)) / 4.0;
    mean.sqrt().sqrt()
}

/// Returns the number of measures of these views.
fn measures(views: &[View]) -> usize {
    views.iter().map(|view| view.measures.len()).sum()
}

/// Returns a rarity as it counts.
fn supported(rarity: f64) -> f64 {
    let beyond = (rarity - SUPPORTED).max(0.0);
    rarity - (1.0 - UNSUPPORTED_PART) * beyond
}

/// Returns the mean of the values, summed in their order; 0 if there are none.
fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Returns three measures of how far a point stands apart. Each grows with the distance, and is
/// compressed tree by tree so that an exponential tail fits it. `points` is the number of points
/// that the forest holds.
pub(crate) fn measures_of(score: &Score, points: usize) -> [f64; FOREST_MEASURES] {
    let doublings = libm::log2(points.max(2) as f64);
    [score.log_codisp, DEPTH_UNIT * score.inverse_depth * doublings / DOUBLINGS, score.log_displacement]
}

#[cfg(test)]
mod tests;
