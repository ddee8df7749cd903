//! A sensor is looked at in three ways, each with a forest of its own.
//!
//! | view | coordinates | finds |
//! |---|---|---|
//! | level | fields, time of day, day of week | what is unusual in itself, or at this hour |
//! | trend | deviations from the moving means, moving means | jumps, at whatever level; levels that move |
//! | spread | fields, their moving spreads, time of day | unrest, and quiet where there was unrest |
//!
//! Fields beside their means could not tell a jump at a level that drifts, since cuts are parallel to the axes: hence the deviations.
//! Three forests of few dimensions rather than one of many: a cut through one of many dimensions is mostly wasted.

use rrcf_rs::{Forest, Sampling, Score};
use serde::{Deserialize, Serialize};

use crate::clock::{day_angle, week_angle};
use crate::config::DetectorConfig;
use crate::scale::Scale;
use crate::trend::Trend;

/// Decay of the sample over the time in which as many readings come as it holds: its mean age is about ten times that.
const DECAY: f64 = 0.1;
/// How many readings back a forest's memory reaches on average, for each point that it holds.
pub(crate) const REACH_PER_POINT: f64 = 1.0 / DECAY;
/// Weight of the clock's coordinates, which lie between −1 and 1, against fields of a standard deviation of 1.
const CLOCK_WEIGHT: f32 = 1.0;
/// Weight of coordinates that are kept for later but not cut by yet.
const DORMANT: f32 = 1e-9;
/// Weights are renewed when one of them is off by more than this factor.
const STALE: f32 = 1.125;

/// A way of looking at a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum View {
    Level,
    Trend,
    Spread,
}

/// What part the clock has in what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Calendar {
    pub(crate) day: Context,
    pub(crate) week: Context,
}

/// What part a period of the clock has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Context {
    /// None: the sensor's memory is too short for it.
    #[default]
    Absent,
    /// It is kept for later: the sensor has not lived long enough.
    Kept,
    /// It counts.
    Counts,
}

/// What the coordinates are made of.
pub(crate) struct Scene<'a> {
    /// The fields' coordinates.
    pub(crate) at: &'a [f64],
    pub(crate) scales: &'a [Scale],
    pub(crate) trends: &'a [Trend],
    /// Seconds of local time.
    pub(crate) local_seconds: i64,
    pub(crate) calendar: Calendar,
    /// Whether no field has moved for long: then the clock rests too, or it alone would tell the points apart.
    pub(crate) at_rest: bool,
}

/// What one dimension of a view belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Field(usize),
    Mean(usize),
    Deviation(usize),
    Spread(usize),
    Day(usize),
    Week(usize),
}

impl View {
    /// The views that a configuration asks for.
    pub(crate) fn chosen(config: &DetectorConfig) -> &'static [Self] {
        if config.smoothing == 0 { &[Self::Level] } else { &[Self::Level, Self::Trend, Self::Spread] }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Trend => "trend",
            Self::Spread => "spread",
        }
    }

    /// The dimensions of the view's points, in order.
    pub(crate) fn axes(self, fields: usize, calendar: Calendar) -> Vec<Axis> {
        let fields = 0..fields;
        let days = (0..2).filter(|_| calendar.day != Context::Absent).map(Axis::Day);
        let weeks = (0..2).filter(|_| calendar.week != Context::Absent).map(Axis::Week);
        let own = fields.clone().map(Axis::Field);
        match self {
            Self::Level => own.chain(days).chain(weeks).collect(),
            Self::Trend => fields.clone().map(Axis::Deviation).chain(fields.map(Axis::Mean)).collect(),
            Self::Spread => own.chain(fields.map(Axis::Spread)).chain(days).collect(),
        }
    }
}

/// One view's forest.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Outlook {
    view: View,
    forest: Forest,
    weights: Vec<f32>,
    #[serde(skip)]
    axes: Vec<Axis>,
    #[serde(skip)]
    point: Vec<f32>,
    #[serde(skip)]
    contributions: Vec<f64>,
}

impl Outlook {
    /// An empty forest for a view of so many fields.
    pub(crate) fn new(
        view: View,
        fields: usize,
        calendar: Calendar,
        config: &DetectorConfig,
        seed: u64,
    ) -> Result<Self, rrcf_rs::Error> {
        let axes = view.axes(fields, calendar);
        let shape = config.shape();
        let forest = Forest::builder(axes.len())
            .trees(shape.trees)
            .window(shape.points)
            .shingle(shingle(view, config))
            .sampling(Sampling::TimeDecayed { rate: DECAY / shape.points as f64 })
            .seed(seed)
            .build()?;
        let mut outlook = Self {
            view,
            forest,
            weights: Vec::new(),
            axes: Vec::new(),
            point: Vec::new(),
            contributions: Vec::new(),
        };
        outlook.make_ready(fields, calendar);
        Ok(outlook)
    }

    /// Makes what a snapshot leaves out.
    pub(crate) fn make_ready(&mut self, fields: usize, calendar: Calendar) {
        self.axes = self.view.axes(fields, calendar);
        self.point = vec![0.0; self.axes.len()];
        self.contributions = vec![0.0; self.axes.len() * self.forest.shingle()];
    }

    /// Whether it could be this view of so many fields.
    pub(crate) fn fits(
        &self,
        view: View,
        fields: usize,
        calendar: Calendar,
        config: &DetectorConfig,
    ) -> bool {
        let (axes, shape) = (view.axes(fields, calendar).len(), config.shape());
        self.view == view
            && (self.weights.is_empty() || self.weights.len() == axes)
            && self.forest.dimensions() == axes
            && self.forest.trees() == shape.trees
            && self.forest.window() == shape.points
            && self.forest.shingle() == shingle(view, config)
    }

    /// Fills in the coordinates of fields that are NaN, by the points that are like the rest.
    pub(crate) fn impute(&mut self, scene: &Scene<'_>, at: &mut [f64]) {
        self.place(scene);
        // No coordinate is infinite, and there are as many as there are dimensions.
        if self.forest.impute(&mut self.point).is_ok() {
            for (coordinate, &value) in at.iter_mut().zip(&self.point) {
                if coordinate.is_nan() {
                    *coordinate = f64::from(value);
                }
            }
        }
    }

    /// Scores a scene; the forest learns it if told to.
    pub(crate) fn score(&mut self, scene: &Scene<'_>, learn: bool) -> Result<Score, rrcf_rs::Error> {
        self.renew_weights(scene)?;
        self.place(scene);
        if learn {
            self.forest.update_attributed(&self.point, &mut self.contributions)
        } else {
            self.forest.observe(&self.point, &mut self.contributions)
        }
    }

    pub(crate) fn view(&self) -> View {
        self.view
    }

    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    /// Dimensions of one reading, in order.
    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The last point, as the forest saw it.
    pub(crate) fn point(&self) -> &[f32] {
        &self.point
    }

    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Each dimension's part in the last score, the oldest reading of a shingle first.
    pub(crate) fn contributions(&self) -> &[f64] {
        &self.contributions
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.forest.memory_usage()
            + (self.weights.capacity() + self.point.capacity()) * size_of::<f32>()
            + self.contributions.capacity() * size_of::<f64>()
            + self.axes.capacity() * size_of::<Axis>()
    }

    fn place(&mut self, scene: &Scene<'_>) {
        let (day, week) = if scene.at_rest {
            ([0.0; 2], [0.0; 2])
        } else {
            (day_angle(scene.local_seconds), week_angle(scene.local_seconds))
        };
        for (coordinate, &axis) in self.point.iter_mut().zip(&self.axes) {
            *coordinate = match axis {
                Axis::Field(field) => scene.at[field] as f32,
                Axis::Mean(field) => scene.trends[field].mean() as f32,
                Axis::Deviation(field) => scene.trends[field].deviation() as f32,
                Axis::Spread(field) => scene.trends[field].spread() as f32,
                Axis::Day(side) => day[side],
                Axis::Week(side) => week[side],
            };
        }
    }

    /// Gives the forest its present weights once they have moved enough to matter.
    fn renew_weights(&mut self, scene: &Scene<'_>) -> Result<(), rrcf_rs::Error> {
        let weight = |axis: &Axis| match *axis {
            Axis::Field(field) => scene.scales[field].weight(),
            Axis::Mean(field) => scene.trends[field].weight_of_mean(scene.scales[field].spread()),
            Axis::Deviation(field) => scene.trends[field].weight_of_deviation(scene.scales[field].spread()),
            Axis::Spread(field) => scene.trends[field].weight_of_spread(scene.scales[field].spread()),
            Axis::Day(_) if scene.calendar.day == Context::Counts => CLOCK_WEIGHT,
            Axis::Week(_) if scene.calendar.week == Context::Counts => CLOCK_WEIGHT,
            Axis::Day(_) | Axis::Week(_) => DORMANT,
        };
        let is_stale = |(axis, &old): (&Axis, &f32)| {
            let new = weight(axis);
            new > old * STALE || new * STALE < old
        };
        let stale = self.weights.is_empty() || self.axes.iter().zip(&self.weights).any(is_stale);
        if stale {
            self.weights = self.axes.iter().map(weight).collect();
            self.forest.set_weights(&self.weights)?;
        }
        Ok(())
    }
}

/// Only the level looks at shingles: the others know the recent past by its moving figures.
fn shingle(view: View, config: &DetectorConfig) -> usize {
    if view == View::Level { config.shingle } else { 1 }
}
