//! Explains the detection of one reading step by step, for a person who asks why.

use serde::Serialize;

use crate::cause::Cause;
use crate::detection::{Detection, Rejected};
use crate::detector::Detector;
use crate::grade::{rarity_of, rarity_threshold};
use crate::stepwise::StepRarity;
use crate::surprise::{MEASURE_NAMES, MEASURES, MeasureRarity};
use crate::view::{Axis, ViewForest};

/// Number of neighbours in the explanation of a view.
const NEIGHBOURS: usize = 5;

/// The steps that lead to a detection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// All views of the sensor, the level first.
    pub views: Vec<ViewExplanation>,
    /// Mean of all rarities.
    pub surprise: f64,
    /// For each view, the mean rarity of its measures; of these, the greatest. Half of it replaces
    /// `surprise` if that is more.
    pub strongest_view: f64,
    /// −log10 of the share of readings that are expected to be as rare.
    pub rarity: f64,
    /// Rarity from which a reading is an anomaly, as `alarms_per_week` demands.
    pub threshold: f64,
    /// Number of readings in the past of the measures.
    pub past: u64,
    /// The sensor's usual interval, in seconds.
    pub interval_seconds: f64,
    /// The stepwise fields: those that take few values and stay at each.
    pub steps: Vec<StepExplanation>,
    /// Share and expectation of each field.
    pub causes: Vec<Cause>,
}

/// How rare a stepwise field is. Each number is −log10 of a share of all readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepExplanation {
    /// The field's name.
    pub field: String,
    /// Rarity of its value, or of the arrival at it.
    pub value: f64,
    /// Rarity of the change from the value before.
    pub change: f64,
    /// Rarity of so long a stay at the value, or of so many changes in so short a time.
    pub stay: f64,
}

/// One view of the sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewExplanation {
    /// `level`, `trend` or `spread`.
    pub name: &'static str,
    /// The forest's measures.
    pub measures: Vec<MeasureExplanation>,
    /// Name, lag and part of each dimension. Lag 0 is the reading itself, lag 1 the reading before
    /// it. The parts sum to 1.
    pub contributions: Vec<(String, usize, f64)>,
    /// The nearest points that the forest remembers.
    pub neighbours: Vec<NeighbourExplanation>,
}

/// One measure of a view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureExplanation {
    /// `codisp`, `depth` or `displacement`.
    pub name: &'static str,
    /// Value of the measure.
    pub value: f64,
    /// −log10 of the value's tail probability in the sensor's past.
    pub rarity: f64,
    /// Moving mean of the measure.
    pub mean: f64,
    /// −log10 of the moving mean's tail probability. `None` if the configuration has no moving
    /// means.
    pub mean_rarity: Option<f64>,
}

/// A point that a forest remembers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeighbourExplanation {
    /// Values of its fields, in their own units. Empty in a view without fields.
    pub values: Vec<f64>,
    /// Distance from the reading: the sum over all dimensions of the difference in units of the
    /// dimension's spread.
    pub distance: f64,
    /// Number of equal points.
    pub count: u32,
}

impl Detector {
    /// Applies a reading as [`apply`](Self::apply) does, and explains the detection. The
    /// explanation is `None` during the first half of the warm-up, and for an unscored reading.
    ///
    /// # Errors
    /// The same as [`apply`](Self::apply).
    pub fn explain(
        &mut self,
        ts_micros: i64,
        names: &[String],
        values: &[f64],
    ) -> Result<(Detection, Option<Explanation>), Rejected> {
        let before = self.clone();
        let detection = self.score_reading(ts_micros, names, values)?;
        let explanation = self.explanation(&before, &detection);
        self.decide_fields().map_err(|e| Rejected::Forest(e.to_string()))?;
        Ok((detection, explanation))
    }

    /// Explains the reading that was scored last. `before` is the detector before that reading.
    fn explanation(&self, before: &Self, detection: &Detection) -> Option<Explanation> {
        if detection.marks.unscored {
            return None;
        }
        let state = &self.state;
        let (Some(model), Some(model_before)) = (&state.model, &before.state.model) else {
            return None;
        };
        let rarities = state.histories.rarities();
        let view_forests =
            model.view_forests().iter().zip(model_before.view_forests()).zip(rarities.chunks(MEASURES));
        let views: Vec<ViewExplanation> = view_forests
            .map(|((view_forest, forest_before), rarities)| ViewExplanation {
                name: view_forest.view().name(),
                measures: rarities.iter().zip(MEASURE_NAMES).map(measure_explanation).collect(),
                contributions: contributions(view_forest, &state.fields),
                neighbours: neighbours(forest_before, view_forest.point(), |field, coordinate| {
                    model.value(field, coordinate)
                }),
            })
            .collect();
        if views.is_empty() || rarities.is_empty() {
            return None;
        }
        let surprise = state.histories.surprise();
        let with_means = self.config.smoothing > 0;
        let combined = state.with_steps(surprise, with_means);
        let steps = state.fields.iter().zip(state.steps.rarities()).filter_map(|(field, rarity)| {
            let StepRarity { value, change, stay } = rarity?;
            Some(StepExplanation { field: field.clone(), value, change, stay })
        });
        let steps = steps.collect();
        Some(Explanation {
            views,
            surprise: surprise.mean,
            strongest_view: surprise.strongest_view,
            rarity: rarity_of(combined.value(), with_means),
            threshold: rarity_threshold(self.config.alarms_per_week, state.rhythm.readings_per_week()),
            past: state.histories.past_readings(),
            interval_seconds: state.rhythm.interval() / 1e6,
            steps,
            causes: state.causes(&self.config, &self.row),
        })
    }
}

fn measure_explanation((measure, name): (&MeasureRarity, &'static str)) -> MeasureExplanation {
    let MeasureRarity { value, rarity, mean, mean_rarity } = *measure;
    MeasureExplanation { name, value, rarity, mean, mean_rarity }
}

fn contributions(view_forest: &ViewForest, fields: &[String]) -> Vec<(String, usize, f64)> {
    let axes = view_forest.axes().len();
    let lags = view_forest.contributions().len() / axes;
    let parts = view_forest.contributions().chunks(axes).enumerate();
    parts
        .flat_map(|(age, parts)| {
            view_forest
                .axes()
                .iter()
                .zip(parts)
                .map(move |(axis, &part)| (axis_name(*axis, fields), lags - 1 - age, part))
        })
        .collect()
}

fn axis_name(axis: Axis, fields: &[String]) -> String {
    match axis {
        Axis::Field(field) => fields[field].clone(),
        Axis::Mean(field) => format!("mean of {}", fields[field]),
        Axis::Deviation(field) => format!("{} less its mean", fields[field]),
        Axis::Spread(field) => format!("spread of {}", fields[field]),
        Axis::Day(_) => "time of day".to_owned(),
        Axis::Week(_) => "day of week".to_owned(),
    }
}

fn neighbours(
    view_forest: &ViewForest,
    point: &[f32],
    value: impl Fn(usize, f64) -> f64,
) -> Vec<NeighbourExplanation> {
    let found = view_forest.forest().neighbours(point, NEIGHBOURS).unwrap_or_default();
    let axes = view_forest.axes().len();
    found
        .into_iter()
        .map(|neighbour| {
            let newest = &neighbour.point[neighbour.point.len() - axes..];
            let fields =
                view_forest.axes().iter().zip(newest).filter_map(|(axis, &coordinate)| match *axis {
                    Axis::Field(field) => Some(value(field, f64::from(coordinate))),
                    _ => None,
                });
            NeighbourExplanation {
                values: fields.collect(),
                distance: neighbour.distance,
                count: neighbour.count,
            }
        })
        .collect()
}
