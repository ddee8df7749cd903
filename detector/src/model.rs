//! The forests of one sensor, with the scales and trends that make their points. A row of values
//! goes in; measures and causes come out.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction, Precedent, expected_band};
use crate::config::{ClockContext, DetectorConfig};
use crate::scale::Scale;
use crate::surprise::{MEASURES, measures_of};
use crate::trend::Trend;
use crate::view::{Axis, Calendar, Context, REACH_PER_POINT, View, ViewForest, ViewInput};

const MICROS_OF_DAY: f64 = 86_400e6;
/// Days that the forests' memory must span, and that the sensor must have run, before the time of
/// day counts.
const DAYS_FOR_DAY: f64 = 2.0;
/// The same for the day of the week.
const DAYS_FOR_WEEK: f64 = 14.0;

/// A sensor's scales, trends and forests.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Model {
    scales: Vec<Scale>,
    trends: Vec<Trend>,
    calendar: Calendar,
    view_forests: Vec<ViewForest>,
    /// Timestamp of the first row, in microseconds since 1970.
    since: i64,
    /// Coordinates of the last row, one per field.
    #[serde(skip)]
    coordinates: Vec<f64>,
    /// Whether the last row lacked the field, so that its coordinate is imputed.
    #[serde(skip)]
    imputed: Vec<bool>,
    /// Measures of the last row, one array per forest.
    #[serde(skip)]
    measures: Vec<[f64; MEASURES]>,
}

/// The values of one reading, in the order of the fields.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// In microseconds since 1970.
    pub(crate) ts: i64,
    /// One value per field; NaN for a missing one.
    pub(crate) values: &'a [f64],
    /// Whether the reading comes after a silence.
    pub(crate) after_silence: bool,
}

/// The score of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowScore {
    /// Mean collusive displacement in the level view.
    pub(crate) codisp: f64,
    /// Whether a field is stuck.
    pub(crate) stuck: bool,
}

impl Model {
    /// Fixes the fields' offsets and units by the first rows, and creates the forests. The rows are
    /// not learnt yet.
    pub(crate) fn calibrate(
        rows: &[(i64, Vec<f64>)],
        config: &DetectorConfig,
        seed: u64,
    ) -> Result<Self, rrcf_rs::Error> {
        let fields = rows[0].1.len();
        let column = |field: usize| rows.iter().map(|(_, row)| row[field]).collect::<Vec<_>>();
        let mut scales: Vec<Scale> = (0..fields).map(|field| Scale::calibrate(&column(field))).collect();
        let trends = scales.iter_mut().enumerate().map(|(field, scale)| {
            let first = column(field).into_iter().find(|value| !value.is_nan());
            Trend::new(first.map_or(0.0, |value| scale.next_coordinate(value)))
        });
        let trends = trends.collect();
        let calendar = first_calendar(rows, config);
        let views = View::chosen(config).iter().zip(0..);
        let view_forests = views.map(|(&view, number)| {
            ViewForest::new(view, fields, calendar, config, seed.wrapping_add(number))
        });
        let mut model = Self {
            scales,
            trends,
            calendar,
            view_forests: view_forests.collect::<Result<_, _>>()?,
            since: rows[0].0,
            coordinates: Vec::new(),
            imputed: Vec::new(),
            measures: Vec::new(),
        };
        model.make_ready();
        Ok(model)
    }

    /// Creates the parts that a snapshot does not hold.
    pub(crate) fn make_ready(&mut self) {
        let fields = self.scales.len();
        for view_forest in &mut self.view_forests {
            view_forest.make_ready(fields, self.calendar);
        }
        self.coordinates = vec![0.0; fields];
        self.imputed = vec![false; fields];
        self.measures = vec![[0.0; MEASURES]; self.view_forests.len()];
    }

    /// Returns whether this model fits the configuration and a sensor with this many fields.
    pub(crate) fn is_sound(&self, fields: usize, config: &DetectorConfig) -> bool {
        let views = View::chosen(config);
        self.scales.len() == fields
            && self.trends.len() == fields
            && self.view_forests.len() == views.len()
            && self
                .view_forests
                .iter()
                .zip(views)
                .all(|(view_forest, &view)| view_forest.fits(view, fields, self.calendar, config))
    }

    /// Scores a row, and learns it if `learn` is true. `rate` is the row's weight in the running
    /// means.
    pub(crate) fn score(
        &mut self,
        row: Row<'_>,
        config: &DetectorConfig,
        learn: bool,
        rate: f64,
    ) -> Result<RowScore, rrcf_rs::Error> {
        let mut row_score = RowScore::default();
        for (((coordinate, imputed), scale), &value) in
            self.coordinates.iter_mut().zip(&mut self.imputed).zip(&mut self.scales).zip(row.values)
        {
            *coordinate = scale.next_coordinate(value);
            *imputed = value.is_nan();
            row_score.stuck |= !*imputed && scale.observe(value);
        }
        self.advance_calendar(row.ts);
        let mut coordinates = std::mem::take(&mut self.coordinates);
        if self.imputed.contains(&true) {
            let input =
                Self::view_input(&coordinates, &self.scales, &self.trends, row, config, self.calendar);
            let mut filled = coordinates.clone();
            self.view_forests[0].impute(&input, &mut filled);
            coordinates = filled;
        }
        let reach = f64::from(config.smoothing);
        if reach > 0.0 {
            for ((trend, &coordinate), _) in
                self.trends.iter_mut().zip(&coordinates).zip(&self.imputed).filter(|(_, imputed)| !**imputed)
            {
                if row.after_silence {
                    trend.restart(coordinate);
                }
                trend.follow(coordinate, reach);
            }
        }
        let input = Self::view_input(&coordinates, &self.scales, &self.trends, row, config, self.calendar);
        for (view_forest, measures) in self.view_forests.iter_mut().zip(&mut self.measures) {
            let score = view_forest.score(&input, learn)?;
            *measures = measures_of(&score, view_forest.forest().len());
            if view_forest.view() == View::Level {
                row_score.codisp = score.codisp;
            }
        }
        self.coordinates = coordinates;
        if learn {
            let known = self.imputed.iter().map(|imputed| !imputed);
            for ((scale, trend), _) in
                self.scales.iter_mut().zip(&mut self.trends).zip(known).filter(|(_, known)| *known)
            {
                if !row_score.stuck {
                    scale.learn(rate);
                }
                trend.learn(rate);
            }
        }
        Ok(row_score)
    }

    /// Returns each forest's measures of the last row.
    pub(crate) fn measures(&self) -> &[[f64; MEASURES]] {
        &self.measures
    }

    pub(crate) fn view_forests(&self) -> &[ViewForest] {
        &self.view_forests
    }

    /// Returns the value of a field for a coordinate.
    pub(crate) fn value(&self, field: usize, coordinate: f64) -> f64 {
        self.scales[field].value(coordinate)
    }

    /// Returns each field's share of the last score: the sum of the parts of its value, deviation,
    /// mean and spread over all views and lags. The clock's parts do not count. The shares sum to
    /// 1, or to 0 if no counted part is positive. An imputed field has share 0.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.scales.len()];
        for view_forest in &self.view_forests {
            for (axis, part) in view_forest.axes().iter().cycle().zip(view_forest.contributions()) {
                if let Axis::Field(field) | Axis::Mean(field) | Axis::Deviation(field) | Axis::Spread(field) =
                    *axis
                    && !self.imputed[field]
                {
                    shares[field] += part;
                }
            }
        }
        let total: f64 = shares.iter().sum();
        if total > 0.0 {
            for share in &mut shares {
                *share /= total;
            }
        }
        shares
    }

    /// Returns each field's share of the last score, with the value that was expected. `values` are
    /// those of the last row.
    pub(crate) fn causes(&self, names: &[String], values: &[f64]) -> Vec<Cause> {
        let fields = names.iter().zip(values).zip(self.shares().into_iter().zip(self.expectations()));
        let causes = fields.map(|((name, &actual), (share, expectation))| {
            let [low, expected, high] = expectation.unwrap_or([actual; 3]);
            let direction = Direction::of(actual, low, high);
            Cause { field: name.clone(), share, actual, expected, low, high, direction, is_counter: false }
        });
        causes.collect()
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.view_forests.iter().map(ViewForest::memory_usage).sum::<usize>()
            + self.view_forests.capacity() * size_of::<ViewForest>()
            + self.scales.capacity() * size_of::<Scale>()
            + self.trends.capacity() * size_of::<Trend>()
            + self.coordinates.capacity() * size_of::<f64>()
            + self.imputed.capacity()
            + self.measures.capacity() * size_of::<[f64; MEASURES]>()
    }

    /// Returns the expected low, median and high of every field. They come from those points of the
    /// level's forest that are nearest to the last point in all other dimensions.
    fn expectations(&self) -> Vec<Option<[f64; 3]>> {
        let view_forest = &self.view_forests[0];
        let axes = view_forest.axes().len();
        // The newest reading of a shingle comes last.
        let held: Vec<(&[f32], u32)> = view_forest
            .forest()
            .points()
            .map(|(point, count)| (&point[point.len() - axes..], count))
            .collect();
        // The distance of each point in each dimension. For each field, the distances in the other
        // dimensions are summed below.
        let axis_distances: Vec<Vec<f64>> =
            (view_forest.point().iter().zip(view_forest.weights()).enumerate())
                .map(|(axis, (&own, &weight))| {
                    let distance = |other: f32| f64::from(weight) * (f64::from(other) - f64::from(own)).abs();
                    held.iter().map(|(point, _)| distance(point[axis])).collect()
                })
                .collect();
        let mut distances = vec![0.0; held.len()];
        let mut precedents = Vec::with_capacity(held.len());
        let expectation_of = |field: usize| {
            distances.fill(0.0);
            for (axis, in_axis) in view_forest.axes().iter().zip(&axis_distances) {
                if *axis != Axis::Field(field) {
                    distances.iter_mut().zip(in_axis).for_each(|(sum, distance)| *sum += distance);
                }
            }
            let points = held.iter().zip(&distances);
            precedents.clear();
            precedents.extend(points.map(|(&(point, count), &distance)| Precedent {
                distance,
                value: f64::from(point[field]),
                count,
            }));
            expected_band(&mut precedents).map(|band| band.map(|coordinate| self.value(field, coordinate)))
        };
        (0..self.scales.len()).map(expectation_of).collect()
    }

    /// Gives the time of day, and the day of the week, its weight once the sensor has run for
    /// enough days.
    fn advance_calendar(&mut self, ts: i64) {
        let days = (ts - self.since) as f64 / MICROS_OF_DAY;
        let Calendar { day, week } = &mut self.calendar;
        for (context, needed) in [(day, DAYS_FOR_DAY), (week, DAYS_FOR_WEEK)] {
            if *context == Context::Kept && days >= needed {
                *context = Context::Counts;
            }
        }
    }

    fn view_input<'a>(
        coordinates: &'a [f64],
        scales: &'a [Scale],
        trends: &'a [Trend],
        row: Row<'_>,
        config: &DetectorConfig,
        calendar: Calendar,
    ) -> ViewInput<'a> {
        let local_seconds = config.time_zone.local_seconds(row.ts);
        let at_rest = scales.iter().all(Scale::is_at_rest);
        ViewInput { coordinates, scales, trends, local_seconds, calendar, at_rest }
    }
}

/// Returns the clock's first part in the points. With `auto`, the clock has a part if the forests'
/// memory spans enough days at the median interval of the first rows.
fn first_calendar(rows: &[(i64, Vec<f64>)], config: &DetectorConfig) -> Calendar {
    let mut intervals: Vec<i64> = rows.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    intervals.sort_unstable();
    let interval = intervals.get(intervals.len() / 2).map_or(0.0, |&interval| interval as f64);
    let memory = REACH_PER_POINT * config.shape().points as f64 * interval / MICROS_OF_DAY;
    let context = |needed: f64| match config.clock {
        ClockContext::On => Context::Counts,
        ClockContext::Auto if memory >= needed => Context::Kept,
        ClockContext::Auto | ClockContext::Off => Context::Absent,
    };
    Calendar { day: context(DAYS_FOR_DAY), week: context(DAYS_FOR_WEEK) }
}
