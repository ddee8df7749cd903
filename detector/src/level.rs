//! The forest of a sensor. Its points are the fields' values, the time of day and the day of the
//! week. It detects values that are unusual in themselves, at this hour, or beside one another.

use rrcf_rs::{Forest, Sampling, Score};
use serde::{Deserialize, Serialize};

use crate::clock::{day_angle, week_angle};
use crate::config::DetectorConfig;
use crate::scale::Scale;

/// Decay of the sample during as many readings as it holds points. The mean age of the sample is
/// about ten times that number of readings.
const DECAY: f64 = 0.1;
/// Mean age of a forest's memory, in readings per point that it holds.
pub(crate) const REACH_PER_POINT: f64 = 1.0 / DECAY;
/// Weight of the clock's coordinates, which lie between −1 and 1. A field with a standard deviation
/// of 1 weighs the same.
const CLOCK_WEIGHT: f32 = 1.0;
/// Weight of coordinates that the points hold but that the forest must not cut yet.
const DORMANT: f32 = 1e-9;
/// The weights are renewed when one of them has changed by more than this factor.
const STALE: f32 = 1.125;

/// The part of the time of day and the day of the week in the points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Calendar {
    pub(crate) day: Context,
    pub(crate) week: Context,
}

/// The part of one period of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Context {
    /// The points do not hold it: the forest's memory is shorter than the period needs.
    #[default]
    Absent,
    /// The points hold it, but it has no weight yet: the sensor has not run long enough.
    Kept,
    /// The points hold it, and it has its weight.
    Counts,
}

/// The input from which the point is computed.
pub(crate) struct LevelInput<'a> {
    /// The fields' coordinates.
    pub(crate) coordinates: &'a [f64],
    pub(crate) scales: &'a [Scale],
    /// Seconds of local time since the local midnight of the Unix epoch.
    pub(crate) local_seconds: i64,
    pub(crate) calendar: Calendar,
    /// Whether all fields hardly move. The clock's coordinates are then 0, because otherwise
    /// only the clock would distinguish the points.
    pub(crate) at_rest: bool,
}

/// Meaning of one dimension of the points. The number is the field's, or 0 for the cosine and 1 for the
/// sine of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Field(usize),
    Day(usize),
    Week(usize),
}

impl Axis {
    /// Returns the dimensions of the points of a sensor with this many fields, in order.
    fn all(fields: usize, calendar: Calendar) -> Vec<Self> {
        let days = (0..2).filter(|_| calendar.day != Context::Absent).map(Self::Day);
        let weeks = (0..2).filter(|_| calendar.week != Context::Absent).map(Self::Week);
        (0..fields).map(Self::Field).chain(days).chain(weeks).collect()
    }
}

/// The forest, with the weights of its dimensions.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Level {
    forest: Forest,
    weights: Vec<f32>,
    #[serde(skip)]
    axes: Vec<Axis>,
    #[serde(skip)]
    point: Vec<f32>,
    #[serde(skip)]
    contributions: Vec<f64>,
}

impl Level {
    /// Creates an empty forest of a sensor with this many fields.
    pub(crate) fn new(
        fields: usize,
        calendar: Calendar,
        config: &DetectorConfig,
        seed: u64,
    ) -> Result<Self, rrcf_rs::Error> {
        let axes = Axis::all(fields, calendar);
        let shape = config.shape();
        let forest = Forest::builder(axes.len())
            .trees(shape.trees)
            .window(shape.points)
            .shingle(config.shingle)
            .sampling(Sampling::TimeDecayed { rate: DECAY / shape.points as f64 })
            .seed(seed)
            .build()?;
        let mut level = Self {
            forest,
            weights: Vec::new(),
            axes: Vec::new(),
            point: Vec::new(),
            contributions: Vec::new(),
        };
        level.make_ready(fields, calendar);
        Ok(level)
    }

    /// Creates the parts that a snapshot does not hold.
    pub(crate) fn make_ready(&mut self, fields: usize, calendar: Calendar) {
        self.axes = Axis::all(fields, calendar);
        self.point = vec![0.0; self.axes.len()];
        self.contributions = vec![0.0; self.axes.len() * self.forest.shingle()];
    }

    /// Returns whether this forest has the shape that the arguments demand.
    pub(crate) fn fits(&self, fields: usize, calendar: Calendar, config: &DetectorConfig) -> bool {
        let (axes, shape) = (Axis::all(fields, calendar).len(), config.shape());
        (self.weights.is_empty() || self.weights.len() == axes)
            && self.forest.dimensions() == axes
            && self.forest.trees() == shape.trees
            && self.forest.window() == shape.points
            && self.forest.shingle() == config.shingle
    }

    /// Replaces each coordinate that is NaN by that of the remembered points that resemble the
    /// other coordinates.
    pub(crate) fn impute(&mut self, input: &LevelInput<'_>, coordinates: &mut [f64]) {
        self.set_point(input);
        // The forest accepts the point: no coordinate is infinite, and there is one per dimension.
        if self.forest.impute(&mut self.point).is_ok() {
            for (coordinate, &value) in coordinates.iter_mut().zip(&self.point) {
                if coordinate.is_nan() {
                    *coordinate = f64::from(value);
                }
            }
        }
    }

    /// Scores the point of an input. The forest learns the point if `learn` is true.
    pub(crate) fn score(&mut self, input: &LevelInput<'_>, learn: bool) -> Result<Score, rrcf_rs::Error> {
        self.renew_weights(input)?;
        self.set_point(input);
        if learn {
            self.forest.update_attributed(&self.point, &mut self.contributions)
        } else {
            self.forest.observe(&self.point, &mut self.contributions)
        }
    }

    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    /// Returns the dimensions of one reading, in order.
    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Returns the last point that the forest scored, without the earlier readings of a shingle.
    pub(crate) fn point(&self) -> &[f32] {
        &self.point
    }

    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Returns each dimension's part in the last score, the oldest reading of a shingle first.
    pub(crate) fn contributions(&self) -> &[f64] {
        &self.contributions
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.forest.memory_usage()
            + (self.weights.capacity() + self.point.capacity()) * size_of::<f32>()
            + self.contributions.capacity() * size_of::<f64>()
            + self.axes.capacity() * size_of::<Axis>()
    }

    /// Computes the point of an input.
    fn set_point(&mut self, input: &LevelInput<'_>) {
        let (day, week) = if input.at_rest {
            ([0.0; 2], [0.0; 2])
        } else {
            (day_angle(input.local_seconds), week_angle(input.local_seconds))
        };
        for (coordinate, &axis) in self.point.iter_mut().zip(&self.axes) {
            *coordinate = match axis {
                Axis::Field(field) => input.coordinates[field] as f32,
                Axis::Day(side) => day[side],
                Axis::Week(side) => week[side],
            };
        }
    }

    /// Gives the forest the present weights if one of them has changed by more than [`STALE`].
    fn renew_weights(&mut self, input: &LevelInput<'_>) -> Result<(), rrcf_rs::Error> {
        let weight = |axis: &Axis| match *axis {
            Axis::Field(field) => input.scales[field].weight(),
            Axis::Day(_) if input.calendar.day == Context::Counts => CLOCK_WEIGHT,
            Axis::Week(_) if input.calendar.week == Context::Counts => CLOCK_WEIGHT,
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
