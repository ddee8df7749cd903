//! Explains the detection of one reading step by step, for a person who asks why.

use serde::Serialize;

use crate::cause::Cause;
use crate::detection::{Detection, Rejected};
use crate::detector::Detector;
use crate::level::{Axis, Level};
use crate::model::{LongRun, RunKind};
use crate::stepwise::StepRarity;
use crate::surprise::{MeasureRarity, MovingMeans, RatedValue};

/// Number of neighbours in the explanation of a view.
const NEIGHBOURS: usize = 5;

/// The steps that lead to a detection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// All views of the sensor, the level first.
    pub views: Vec<ViewExplanation>,
    /// Weighted mean of the views, each combined from the rarities of its measures and of their moving
    /// means.
    pub surprise: f64,
    /// For each view, the mean rarity of its measures in this reading; of these, the greatest. Half of
    /// it replaces `surprise` if that is more.
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
    /// The fields that are stuck: they repeat their value far longer than before.
    pub stuck: Vec<StuckExplanation>,
    /// The fields that are away from the value at which they rest for far longer than before.
    pub away: Vec<AwayExplanation>,
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

/// A field that is stuck.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StuckExplanation {
    /// The field's name.
    pub field: String,
    /// How many readings in a row have had this value.
    pub readings: u32,
    /// How rare that is: −log10 of a share of all readings.
    pub rarity: f64,
}

/// A field that does not come back to the value at which it rests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AwayExplanation {
    /// The field's name.
    pub field: String,
    /// The value at which it rests.
    pub rest: f64,
    /// How many readings in a row have had other values.
    pub readings: u32,
    /// How rare that is: −log10 of a share of all readings.
    pub rarity: f64,
}

/// One view of the sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewExplanation {
    /// `level` is the forest. Of a sensor with one field, `forecast` is the residual of its forecast.
    /// Of a sensor with several fields, `field` is the rarest residual of a single field,
    /// `residuals` and `lasting` are those of all fields in this reading and lately, and `coincidence`
    /// shows fields that are off at once. `course` and `courses` are the shapes of the last readings.
    /// `relations` compares each value with the values of the other fields.
    pub name: &'static str,
    /// The view's measures.
    pub measures: Vec<MeasureExplanation>,
    /// Name, lag and part of each dimension of the forest. Lag 0 is the reading itself, lag 1 the
    /// reading before it. The parts sum to 1. Empty in the other views.
    pub contributions: Vec<(String, usize, f64)>,
    /// The nearest points that the forest remembers. Empty in the other views.
    pub neighbours: Vec<NeighbourExplanation>,
}

/// One measure of a view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureExplanation {
    /// Of the level: `codisp`, `depth` or `displacement`. Of the forecast: `residual`, `drift` (its
    /// moving mean) or `unrest` (its moving power). Of the residuals of several fields: `greatest`,
    /// `mean` or `joint`, or `second` for the second and third greatest.
    pub name: &'static str,
    /// The measure of this reading.
    pub present: RatedValue,
    /// Its moving means. `None` if the configuration has no moving means.
    pub means: Option<MovingMeans>,
}

/// A point that a forest remembers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeighbourExplanation {
    /// Values of its fields, in their own units.
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
        let (level, level_before) = (model.level(), model_before.level());
        let known_views = state.views(&self.config);
        let of_views = state.histories.of_views(known_views).enumerate();
        let views: Vec<ViewExplanation> = of_views
            .map(|(number, (view, rarities))| {
                let measures = rarities.iter().zip(view.measures);
                let is_level = number == 0;
                ViewExplanation {
                    name: view.name,
                    measures: measures.map(|(measure, name)| measure_explanation(measure, name)).collect(),
                    contributions: if is_level { contributions(level, &state.fields) } else { Vec::new() },
                    neighbours: if is_level {
                        neighbours(level_before, level.point(), |field, coordinate| {
                            model.value(field, coordinate)
                        })
                    } else {
                        Vec::new()
                    },
                }
            })
            .collect();
        if views.is_empty() {
            return None;
        }
        let surprise = state.histories.surprise(known_views);
        let calibration = &before.state.calibration;
        let parts = state.rarity_parts(surprise, calibration, self.config.smoothing > 0);
        let steps = state.fields.iter().zip(state.steps.rarities()).filter_map(|(field, rarity)| {
            let StepRarity { value, change, stay } = rarity?;
            Some(StepExplanation { field: field.clone(), value, change, stay })
        });
        let steps = steps.collect();
        let (mut stuck, mut away) = (Vec::new(), Vec::new());
        for (field, run) in state.fields.iter().zip(state.long_runs()) {
            let Some(LongRun { kind, readings, rarity }) = run else { continue };
            let field = field.clone();
            match kind {
                RunKind::Stuck => stuck.push(StuckExplanation { field, readings, rarity }),
                RunKind::Away { rest } => away.push(AwayExplanation { field, rest, readings, rarity }),
            }
        }
        Some(Explanation {
            views,
            surprise: surprise.mean,
            strongest_view: surprise.strongest_view,
            rarity: parts.rarity(),
            threshold: calibration.threshold(
                self.config.alarms_per_week,
                state.rhythm.readings_per_week(),
                state.histories.past_readings(),
            ),
            past: state.histories.past_readings(),
            interval_seconds: state.rhythm.interval() / 1e6,
            steps,
            stuck,
            away,
            causes: state.causes(&self.row, parts),
        })
    }
}

fn measure_explanation(measure: &MeasureRarity, name: &'static str) -> MeasureExplanation {
    let MeasureRarity { present, means } = *measure;
    MeasureExplanation { name, present, means }
}

fn contributions(level: &Level, fields: &[String]) -> Vec<(String, usize, f64)> {
    let axes = level.axes().len();
    let lags = level.contributions().len() / axes;
    let parts = level.contributions().chunks(axes).enumerate();
    parts
        .flat_map(|(age, parts)| {
            level
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
        Axis::Day(_) => "time of day".to_owned(),
        Axis::Week(_) => "day of week".to_owned(),
    }
}

fn neighbours(level: &Level, point: &[f32], value: impl Fn(usize, f64) -> f64) -> Vec<NeighbourExplanation> {
    let found = level.forest().neighbours(point, NEIGHBOURS).unwrap_or_default();
    let axes = level.axes().len();
    found
        .into_iter()
        .map(|neighbour| {
            let newest = &neighbour.point[neighbour.point.len() - axes..];
            let fields = level.axes().iter().zip(newest).filter_map(|(axis, &coordinate)| match *axis {
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
