//! The detection of one reading, shown step by step: for a person who asks why.

use serde::Serialize;

use crate::cause::Cause;
use crate::detection::{Detection, Rejected};
use crate::detector::Detector;
use crate::grade::{rarity, threshold};
use crate::surprise::{NAMES, WAYS};
use crate::view::{Axis, Outlook};

/// Neighbours that are shown for each view.
const NEIGHBOURS: usize = 5;

/// How a detection came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Every view of the sensor, the level first.
    pub views: Vec<ViewExplanation>,
    /// The mean of all rarities.
    pub surprise: f64,
    /// The greatest mean rarity of one view's measures. Half of it counts where that is more than `surprise`.
    pub loudest: f64,
    /// −log10 of the share of readings that are expected to be as rare.
    pub rarity: f64,
    /// What `alarms_per_week` demands of the rarity.
    pub threshold: f64,
    /// Readings that the sensor's past holds.
    pub past: u64,
    /// The sensor's usual interval, in seconds.
    pub interval_seconds: f64,
    /// Each field's part, and what was expected of it.
    pub causes: Vec<Cause>,
}

/// One way of looking at the sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewExplanation {
    /// `level`, `trend` or `spread`.
    pub name: &'static str,
    /// The forest's measures.
    pub measures: Vec<MeasureExplanation>,
    /// Each dimension's part in the score, with the lag it comes from: 0 is the reading itself. Sums to 1.
    pub contributions: Vec<(String, usize, f64)>,
    /// The nearest readings that the forest remembers.
    pub neighbours: Vec<NeighbourExplanation>,
}

/// One measure of a view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureExplanation {
    /// `codisp`, `depth` or `displacement`.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// −log10 of its tail probability in the sensor's past.
    pub rarity: f64,
    /// Its moving mean.
    pub mean: f64,
    /// −log10 of the moving mean's tail probability.
    pub mean_rarity: Option<f64>,
}

/// A reading that a forest remembers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeighbourExplanation {
    /// The values of its fields; empty in a view that does not look at them.
    pub values: Vec<f64>,
    /// Its distance: the sum over all dimensions of the difference in units of the dimension's spread.
    pub distance: f64,
    /// How many readings are the same.
    pub count: u32,
}

impl Detector {
    /// What [`apply`](Self::apply) says of a reading, and how it comes about. Changes what `apply` changes. There is nothing to explain before the
    /// first half of the warm-up is over.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn explain(
        &mut self,
        ts_micros: i64,
        names: &[String],
        values: &[f64],
    ) -> Result<(Detection, Option<Explanation>), Rejected> {
        let before = self.clone();
        let detection = self.apply(ts_micros, names, values)?;
        let state = &self.state;
        let (Some(model), Some(model_before)) = (&state.model, &before.state.model) else {
            return Ok((detection, None));
        };
        let verdicts = state.surprise.verdicts();
        let outlooks = model.outlooks().iter().zip(model_before.outlooks()).zip(verdicts.chunks(WAYS));
        let views: Vec<ViewExplanation> = outlooks
            .map(|((outlook, outlook_before), verdicts)| ViewExplanation {
                name: outlook.view().name(),
                measures: verdicts
                    .iter()
                    .zip(NAMES)
                    .map(|(verdict, name)| MeasureExplanation {
                        name,
                        value: verdict.value,
                        rarity: verdict.rarity,
                        mean: verdict.mean,
                        mean_rarity: verdict.mean_rarity,
                    })
                    .collect(),
                contributions: contributions(outlook, &state.fields),
                neighbours: neighbours(outlook_before, outlook.point(), |field, coordinate| {
                    model.value(field, coordinate)
                }),
            })
            .collect();
        if views.is_empty() || verdicts.is_empty() {
            return Ok((detection, None));
        }
        let judgement = state.surprise.judgement();
        let explanation = Explanation {
            views,
            surprise: judgement.mean,
            loudest: judgement.loudest,
            rarity: rarity(judgement.surprise(), self.config.smoothing > 0),
            threshold: threshold(self.config.alarms_per_week, state.rhythm.readings_per_week()),
            past: state.surprise.past(),
            interval_seconds: state.rhythm.interval() / 1e6,
            causes: model.causes(&state.fields, &self.row),
        };
        Ok((detection, Some(explanation)))
    }
}

fn contributions(outlook: &Outlook, fields: &[String]) -> Vec<(String, usize, f64)> {
    let axes = outlook.axes().len();
    let lags = outlook.contributions().len() / axes;
    let parts = outlook.contributions().chunks(axes).enumerate();
    parts
        .flat_map(|(age, parts)| {
            outlook
                .axes()
                .iter()
                .zip(parts)
                .map(move |(axis, &part)| (name(*axis, fields), lags - 1 - age, part))
        })
        .collect()
}

fn name(axis: Axis, fields: &[String]) -> String {
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
    outlook: &Outlook,
    point: &[f32],
    value: impl Fn(usize, f64) -> f64,
) -> Vec<NeighbourExplanation> {
    let found = outlook.forest().neighbours(point, NEIGHBOURS).unwrap_or_default();
    let axes = outlook.axes().len();
    found
        .into_iter()
        .map(|neighbour| {
            let newest = &neighbour.point[neighbour.point.len() - axes..];
            let fields = outlook.axes().iter().zip(newest).filter_map(|(axis, &at)| match *axis {
                Axis::Field(field) => Some(value(field, f64::from(at))),
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
