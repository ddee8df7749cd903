//! The forest and the forecasts of one sensor, with the scales of its fields. A row of values goes
//! in; measures and causes come out.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction, Precedent, expected_band};
use crate::caution::LearningPace;
use crate::config::{ClockContext, DetectorConfig};
use crate::field_models::Coordinates;
use crate::level::{Axis, Calendar, Context, Level, LevelInput, REACH_PER_POINT};
use crate::residuals::Residuals;
use crate::scale::{Scale, is_implausible};
use crate::surprise::measures_of;

const MICROS_OF_DAY: f64 = 86_400e6;
/// Days that the forest's memory must span, and that the sensor must have run, before the time of
/// day counts.
const DAYS_FOR_DAY: f64 = 2.0;
/// The same for the day of the week.
const DAYS_FOR_WEEK: f64 = 14.0;
/// While a field is stuck, the scales of the other fields rest too, because often the whole device has
/// failed. After this many repetitions, they learn again.
const STUCK_TOGETHER: u32 = 512;

/// A sensor's scales, forest and forecasts.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Model {
    scales: Vec<Scale>,
    calendar: Calendar,
    level: Level,
    /// `None` if the configuration has no moving means.
    residuals: Option<Residuals>,
    /// Timestamp of the first row, in microseconds since 1970.
    since: i64,
    /// Coordinates of the last row, one per field.
    #[serde(skip)]
    coordinates: Vec<f64>,
    /// Whether the last row lacked the field, so that its coordinate is imputed.
    #[serde(skip)]
    imputed: Vec<bool>,
    /// Whether the field was stuck in the last row.
    #[serde(skip)]
    stuck: Vec<bool>,
    /// Measures of the last row, view by view.
    #[serde(skip)]
    measures: Vec<f64>,
    /// The measures of the last row that the histories learn, if they are others.
    #[serde(skip)]
    measures_to_learn: Vec<f64>,
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

/// How much of a row the model learns.
#[derive(Clone, Copy)]
pub(crate) struct Learning {
    pub(crate) pace: LearningPace,
    /// Whether the parts that this pace slows down learn the row.
    pub(crate) turn: bool,
    /// The row's weight in the running means.
    pub(crate) rate: f64,
}

/// The score of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowScore {
    /// Mean collusive displacement.
    pub(crate) codisp: f64,
    /// Whether a field is stuck.
    pub(crate) stuck: bool,
}

/// What a field does for far longer than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LongRun {
    pub(crate) kind: RunKind,
    /// Readings in a row in which it does so.
    pub(crate) readings: u32,
    /// How rare that is.
    pub(crate) rarity: f64,
}

/// What a field can do for too long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RunKind {
    /// It repeats its value: it is stuck.
    Stuck,
    /// It is away from this value, at which it rests.
    Away { rest: f64 },
}

impl Model {
    /// Fixes the fields' offsets and units by the first rows, and creates the forest. The rows are
    /// not learnt yet. The new model has the clock of the `known` one, whose points it shall take over.
    pub(crate) fn calibrate(
        rows: &[(i64, Vec<f64>)],
        config: &DetectorConfig,
        seed: u64,
        known: Option<&Self>,
    ) -> Result<Self, rrcf_rs::Error> {
        let fields = rows[0].1.len();
        let mut scales: Vec<Scale> =
            (0..fields).map(|field| Scale::calibrate(&column(rows, field))).collect();
        let first = scales.iter_mut().enumerate().map(|(field, scale)| {
            let is_value =
                |value: &f64| !value.is_nan() && !is_implausible(scale.coordinate(*value), scale.spread());
            let first = column(rows, field).into_iter().find(is_value);
            first.map_or(0.0, |value| scale.next_coordinate(value))
        });
        let residuals = (config.smoothing > 0).then(|| Residuals::new(first));
        let calendar = known.map_or_else(|| first_calendar(rows, config), |known| known.calendar);
        let mut model = Self {
            scales,
            calendar,
            level: Level::new(fields, calendar, config, seed)?,
            residuals,
            since: known.map_or(rows[0].0, |known| known.since),
            coordinates: Vec::new(),
            imputed: Vec::new(),
            stuck: Vec::new(),
            measures: Vec::new(),
            measures_to_learn: Vec::new(),
        };
        model.make_ready();
        Ok(model)
    }

    /// Returns whether the scale of each field suits its values in these rows.
    pub(crate) fn suits(&self, rows: &[(i64, Vec<f64>)]) -> bool {
        let suits = |(field, scale): (usize, &Scale)| scale.suits(&Scale::calibrate(&column(rows, field)));
        self.scales.iter().enumerate().all(suits)
    }

    /// Takes over the scales of the fields that stay, and the points of the forest. `sources` has the
    /// index of each field in the `known` model. `constants` has the value that a new field had
    /// until now, if it is known.
    pub(crate) fn take_over(
        &mut self,
        known: &Self,
        sources: &[Option<usize>],
        constants: &[Option<f64>],
    ) -> Result<(), rrcf_rs::Error> {
        self.take_over_scales(known, sources);
        let new = self.scales.iter().zip(constants);
        let filled: Vec<f64> =
            new.map(|(scale, constant)| constant.map_or(0.0, |value| scale.coordinate(value))).collect();
        self.level.take_over(&known.level, sources, &filled, &self.scales, self.calendar)
    }

    /// Gives the fields that stay what was known of them before the window was learnt again.
    pub(crate) fn restore(&mut self, known: &mut Self, sources: &[Option<usize>]) {
        self.take_over_scales(known, sources);
        if let (Some(residuals), Some(known)) = (&mut self.residuals, &mut known.residuals) {
            residuals.take_over(known, sources);
        }
    }

    fn take_over_scales(&mut self, known: &Self, sources: &[Option<usize>]) {
        for (scale, source) in self.scales.iter_mut().zip(sources) {
            if let Some(index) = *source {
                scale.clone_from(&known.scales[index]);
            }
        }
    }

    /// Creates the parts that a snapshot does not hold.
    pub(crate) fn make_ready(&mut self) {
        let fields = self.scales.len();
        self.level.make_ready(fields, self.calendar);
        self.coordinates = vec![0.0; fields];
        self.imputed = vec![false; fields];
        self.stuck = vec![false; fields];
    }

    /// Returns whether this model fits the configuration and a sensor with this many fields.
    pub(crate) fn is_sound(&self, fields: usize, config: &DetectorConfig) -> bool {
        self.scales.len() == fields
            && self.level.fits(fields, self.calendar, config)
            && self.residuals.is_some() == (config.smoothing > 0)
            && self.residuals.as_ref().is_none_or(|residuals| residuals.is_sound(fields))
    }

    /// Scores a row, and learns as much of it as `learning` says.
    pub(crate) fn score(
        &mut self,
        row: Row<'_>,
        config: &DetectorConfig,
        learning: Learning,
    ) -> Result<RowScore, rrcf_rs::Error> {
        let Learning { pace, turn, rate } = learning;
        let learn = pace != LearningPace::Slow || turn;
        let (mut row_score, mut all_rest) = (RowScore::default(), false);
        let marks = self.imputed.iter_mut().zip(&mut self.stuck);
        for (((coordinate, (imputed, stuck)), scale), &value) in
            self.coordinates.iter_mut().zip(marks).zip(&mut self.scales).zip(row.values)
        {
            *coordinate = scale.next_coordinate(value);
            *imputed = value.is_nan();
            *stuck = !*imputed && scale.observe(value, pace != LearningPace::Slow);
            row_score.stuck |= *stuck;
            all_rest |= *stuck && scale.repetition().run() < STUCK_TOGETHER;
        }
        self.advance_calendar(row.ts);
        let mut coordinates = std::mem::take(&mut self.coordinates);
        if self.imputed.contains(&true) {
            let input = Self::level_input(&coordinates, &self.scales, row, config, self.calendar);
            let mut filled = coordinates.clone();
            self.level.impute(&input, &mut filled);
            coordinates = filled;
        }
        let input = Self::level_input(&coordinates, &self.scales, row, config, self.calendar);
        let score = self.level.score(&input, learn)?;
        row_score.codisp = score.codisp;
        self.measures.clear();
        self.measures.extend(measures_of(&score, self.level.forest().len()));
        if let Some(residuals) = &mut self.residuals {
            let Self { scales, imputed, measures, measures_to_learn, .. } = self;
            let after_silence = row.after_silence;
            measures_to_learn.clear();
            if pace == LearningPace::Cautious {
                measures_to_learn.extend(&*measures);
            }
            let reading = Coordinates { of_fields: &coordinates, imputed, scales, after_silence };
            residuals.follow(reading, pace, measures, measures_to_learn);
            residuals.advance(imputed, turn, rate);
        }
        self.coordinates = coordinates;
        if learn && !all_rest {
            let rests = self.imputed.iter().zip(&self.stuck).map(|(imputed, stuck)| *imputed || *stuck);
            for (scale, _) in self.scales.iter_mut().zip(rests).filter(|(_, rests)| !rests) {
                scale.learn(rate);
            }
        }
        Ok(row_score)
    }

    /// Adds the last row to the pasts of the fields' residuals.
    pub(crate) fn learn_pasts(&mut self) {
        if let Some(residuals) = &mut self.residuals {
            residuals.learn_pasts(&self.imputed);
        }
    }

    /// Returns the measures of the last row, view by view.
    pub(crate) fn measures(&self) -> &[f64] {
        &self.measures
    }

    /// Returns the measures of the last row that the histories learn.
    pub(crate) fn measures_to_learn(&self) -> &[f64] {
        if self.measures_to_learn.is_empty() { &self.measures } else { &self.measures_to_learn }
    }

    /// Returns what each field of the last row does for far longer than before: the rarer of two. The
    /// rarity is −log10 of a share of readings. `past` is the number of past readings.
    pub(crate) fn long_runs(&self, past: u64) -> impl Iterator<Item = Option<LongRun>> {
        let marks = self.stuck.iter().zip(&self.imputed);
        self.scales.iter().zip(marks).map(move |(scale, (is_stuck, is_imputed))| {
            let (repetition, excursion) = (scale.repetition(), scale.excursion());
            let stuck = is_stuck.then(|| LongRun {
                kind: RunKind::Stuck,
                readings: repetition.run().saturating_add(1),
                rarity: repetition.rarity(past),
            });
            let away = (excursion.is_long() && !is_imputed).then(|| LongRun {
                kind: RunKind::Away { rest: scale.value(excursion.rest()) },
                readings: excursion.run(),
                rarity: excursion.rarity(past),
            });
            let is_rarer = |other: &LongRun| stuck.is_none_or(|stuck| other.rarity > stuck.rarity);
            away.filter(is_rarer).or(stuck)
        })
    }

    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// Returns the value of a field for a coordinate.
    pub(crate) fn value(&self, field: usize, coordinate: f64) -> f64 {
        self.scales[field].value(coordinate)
    }

    /// Returns each field's share of the last score. Half of it is the field's part in the score of
    /// the forest, over all lags; the clock's parts do not count. The other half is the field's part
    /// in the rarities of the residuals. The shares sum to 1, or to 0 if no part is positive. An
    /// imputed field has share 0.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let fields = self.scales.len();
        let mut of_level = vec![0.0; fields];
        for (axis, part) in self.level.axes().iter().cycle().zip(self.level.contributions()) {
            if let Axis::Field(field) = *axis
                && !self.imputed[field]
            {
                of_level[field] += part;
            }
        }
        let mut of_residuals = vec![0.0; fields];
        if let Some(residuals) = &self.residuals {
            // What is as common as one in ten says nothing, and one of many fields is always rare.
            let common = 1.0 + libm::log10(fields as f64);
            for (share, rarity) in of_residuals.iter_mut().zip(residuals.field_rarities()) {
                *share = (rarity - common).max(0.0);
            }
        }
        for shares in [&mut of_level, &mut of_residuals] {
            normalize(shares);
        }
        let mut shares: Vec<f64> = of_level.iter().zip(&of_residuals).map(|(a, b)| a + b).collect();
        normalize(&mut shares);
        shares
    }

    /// Returns each field's share of the last score, with the value that was expected. `values` are
    /// those of the last row.
    pub(crate) fn causes(&self, names: &[String], values: &[f64]) -> Vec<Cause> {
        let fields = names.iter().zip(values).zip(self.shares().into_iter().zip(self.expectations()));
        let causes = fields.map(|((name, &actual), (share, expectation))| {
            let [low, expected, high] = expectation.unwrap_or([actual; 3]);
            let direction = Direction::of(actual, low, high);
            Cause {
                field: name.clone(),
                share,
                actual,
                expected,
                low,
                high,
                direction,
                is_counter: false,
                repeated: 0,
                away: 0,
            }
        });
        causes.collect()
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.level.memory_usage()
            + self.residuals.as_ref().map_or(0, Residuals::memory_usage)
            + self.scales.capacity() * size_of::<Scale>()
            + self.coordinates.capacity() * size_of::<f64>()
            + self.imputed.capacity()
            + self.stuck.capacity()
            + (self.measures.capacity() + self.measures_to_learn.capacity()) * size_of::<f64>()
    }

    /// Returns the expected low, median and high of every field. They come from those points of the
    /// forest that are nearest to the last point in all other dimensions.
    fn expectations(&self) -> Vec<Option<[f64; 3]>> {
        let level = &self.level;
        let axes = level.axes().len();
        // The newest reading of a shingle comes last.
        let held: Vec<(&[f32], u32)> =
            level.forest().points().map(|(point, count)| (&point[point.len() - axes..], count)).collect();
        // The distance of each point in each dimension. For each field, the distances in the other
        // dimensions are summed below.
        let axis_distances: Vec<Vec<f64>> = (level.point().iter().zip(level.weights()).enumerate())
            .map(|(axis, (&own, &weight))| {
                let distance = |other: f32| f64::from(weight) * (f64::from(other) - f64::from(own)).abs();
                held.iter().map(|(point, _)| distance(point[axis])).collect()
            })
            .collect();
        let mut distances = vec![0.0; held.len()];
        let mut precedents = Vec::with_capacity(held.len());
        let expectation_of = |field: usize| {
            distances.fill(0.0);
            for (axis, in_axis) in level.axes().iter().zip(&axis_distances) {
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
        let days = ts.saturating_sub(self.since) as f64 / MICROS_OF_DAY;
        let Calendar { day, week } = &mut self.calendar;
        for (context, needed) in [(day, DAYS_FOR_DAY), (week, DAYS_FOR_WEEK)] {
            if *context == Context::Kept && days >= needed {
                *context = Context::Counts;
            }
        }
    }

    fn level_input<'a>(
        coordinates: &'a [f64],
        scales: &'a [Scale],
        row: Row<'_>,
        config: &DetectorConfig,
        calendar: Calendar,
    ) -> LevelInput<'a> {
        let local_seconds = config.time_zone.local_seconds(row.ts);
        let at_rest = scales.iter().all(Scale::is_at_rest);
        LevelInput { coordinates, scales, local_seconds, calendar, at_rest }
    }
}

/// Scales parts so that they sum to 1, unless none is positive.
fn normalize(parts: &mut [f64]) {
    let total: f64 = parts.iter().sum();
    if total > 0.0 {
        for part in parts {
            *part /= total;
        }
    }
}

/// Returns the values of a field; NaN for a missing one.
fn column(rows: &[(i64, Vec<f64>)], field: usize) -> Vec<f64> {
    rows.iter().map(|(_, row)| row[field]).collect()
}

/// Returns the clock's first part in the points. With `auto`, the clock has a part if the forest's
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

#[cfg(test)]
mod tests;
