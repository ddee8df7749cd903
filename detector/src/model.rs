//! The forests of one sensor and what makes their points: a row of values in, measures and their causes out.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction, Precedent, expectation};
use crate::config::{ClockContext, DetectorConfig};
use crate::scale::Scale;
use crate::surprise::{WAYS, measures};
use crate::trend::Trend;
use crate::view::{Axis, Calendar, Context, Outlook, REACH_PER_POINT, Scene, View};

const MICROS_OF_DAY: f64 = 86_400e6;
/// Days that memory must span for the time of day to count, and for the day of the week.
const DAYS_FOR_DAY: f64 = 2.0;
const DAYS_FOR_WEEK: f64 = 14.0;

/// A sensor's scales, trends and forests.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Model {
    scales: Vec<Scale>,
    trends: Vec<Trend>,
    calendar: Calendar,
    outlooks: Vec<Outlook>,
    /// Timestamp of the first row.
    since: i64,
    #[serde(skip)]
    at: Vec<f64>,
    #[serde(skip)]
    imputed: Vec<bool>,
    #[serde(skip)]
    measures: Vec<[f64; WAYS]>,
}

/// A row of values and its circumstances.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// In microseconds since 1970.
    pub(crate) ts: i64,
    /// One per field; those that are missing are NaN.
    pub(crate) values: &'a [f64],
    /// Whether it comes after a silence.
    pub(crate) after_silence: bool,
}

/// What a model says of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Mean collusive displacement in the view of the level.
    pub(crate) codisp: f64,
    /// Whether a field is stuck.
    pub(crate) stuck: bool,
}

impl Model {
    /// Fixes the fields' scales by the first rows.
    pub(crate) fn open(
        opening: &[(i64, Vec<f64>)],
        config: &DetectorConfig,
        seed: u64,
    ) -> Result<Self, rrcf_rs::Error> {
        let fields = opening[0].1.len();
        let column = |field: usize| opening.iter().map(|(_, row)| row[field]).collect::<Vec<_>>();
        let mut scales: Vec<Scale> = (0..fields).map(|field| Scale::open(&column(field))).collect();
        let trends = scales.iter_mut().enumerate().map(|(field, scale)| {
            let first = column(field).into_iter().find(|value| !value.is_nan());
            Trend::new(first.map_or(0.0, |value| scale.pass(value)))
        });
        let trends = trends.collect();
        let calendar = calendar(opening, config);
        let views = View::chosen(config).iter().zip(0..);
        let outlooks = views
            .map(|(&view, number)| Outlook::new(view, fields, calendar, config, seed.wrapping_add(number)));
        let mut model = Self {
            scales,
            trends,
            calendar,
            outlooks: outlooks.collect::<Result<_, _>>()?,
            since: opening[0].0,
            at: Vec::new(),
            imputed: Vec::new(),
            measures: Vec::new(),
        };
        model.make_ready();
        Ok(model)
    }

    /// Makes what a snapshot leaves out.
    pub(crate) fn make_ready(&mut self) {
        let fields = self.scales.len();
        for outlook in &mut self.outlooks {
            outlook.make_ready(fields, self.calendar);
        }
        self.at = vec![0.0; fields];
        self.imputed = vec![false; fields];
        self.measures = vec![[0.0; WAYS]; self.outlooks.len()];
    }

    /// Whether it could be the model of so many fields.
    pub(crate) fn is_sound(&self, fields: usize, config: &DetectorConfig) -> bool {
        let views = View::chosen(config);
        self.scales.len() == fields
            && self.trends.len() == fields
            && self.outlooks.len() == views.len()
            && self
                .outlooks
                .iter()
                .zip(views)
                .all(|(outlook, &view)| outlook.fits(view, fields, self.calendar, config))
    }

    /// Scores a row; learns it if told to. `rate` is its weight in the running figures.
    pub(crate) fn see(
        &mut self,
        row: Row<'_>,
        config: &DetectorConfig,
        learn: bool,
        rate: f64,
    ) -> Result<Seen, rrcf_rs::Error> {
        let mut seen = Seen::default();
        for (((at, imputed), scale), &value) in
            self.at.iter_mut().zip(&mut self.imputed).zip(&mut self.scales).zip(row.values)
        {
            *at = scale.pass(value);
            *imputed = value.is_nan();
            seen.stuck |= !*imputed && scale.hear(value);
        }
        self.turn_calendar(row.ts);
        let mut at = std::mem::take(&mut self.at);
        if self.imputed.contains(&true) {
            let scene = Self::scene(&at, &self.scales, &self.trends, row, config, self.calendar);
            let mut filled = at.clone();
            self.outlooks[0].impute(&scene, &mut filled);
            at = filled;
        }
        let reach = f64::from(config.smoothing);
        if reach > 0.0 {
            for ((trend, &at), _) in
                self.trends.iter_mut().zip(&at).zip(&self.imputed).filter(|(_, imputed)| !**imputed)
            {
                if row.after_silence {
                    trend.restart(at);
                }
                trend.follow(at, reach);
            }
        }
        let scene = Self::scene(&at, &self.scales, &self.trends, row, config, self.calendar);
        for (outlook, measured) in self.outlooks.iter_mut().zip(&mut self.measures) {
            let score = outlook.score(&scene, learn)?;
            *measured = measures(&score, outlook.forest().len());
            if outlook.view() == View::Level {
                seen.codisp = score.codisp;
            }
        }
        self.at = at;
        if learn {
            let known = self.imputed.iter().map(|imputed| !imputed);
            for ((scale, trend), _) in
                self.scales.iter_mut().zip(&mut self.trends).zip(known).filter(|(_, known)| *known)
            {
                if !seen.stuck {
                    scale.learn(rate);
                }
                trend.learn(rate);
            }
        }
        Ok(seen)
    }

    /// What each forest measured of the last row.
    pub(crate) fn measures(&self) -> &[[f64; WAYS]] {
        &self.measures
    }

    pub(crate) fn outlooks(&self) -> &[Outlook] {
        &self.outlooks
    }

    /// The value of a field that a coordinate stands for.
    pub(crate) fn value(&self, field: usize, coordinate: f64) -> f64 {
        self.scales[field].value(coordinate)
    }

    /// Each field's part in the last score: what its value, its mean and its spread add up to over all views and lags, without what the clock
    /// adds. Sums to 1, or to 0 where nothing stood out. What was only imputed has no part.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.scales.len()];
        for outlook in &self.outlooks {
            for (axis, part) in outlook.axes().iter().cycle().zip(outlook.contributions()) {
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

    /// Each field's part in the last row, beside what was expected of it.
    pub(crate) fn causes(&self, names: &[String], values: &[f64]) -> Vec<Cause> {
        let fields = names.iter().zip(values).zip(self.shares().into_iter().zip(self.expectations()));
        let causes = fields.map(|((name, &actual), (share, expectation))| {
            let [low, expected, high] = expectation.unwrap_or([actual; 3]);
            let direction = Direction::of(actual, low, high);
            Cause { field: name.clone(), share, actual, expected, low, high, direction }
        });
        causes.collect()
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.outlooks.iter().map(Outlook::memory_usage).sum::<usize>()
            + self.outlooks.capacity() * size_of::<Outlook>()
            + self.scales.capacity() * size_of::<Scale>()
            + self.trends.capacity() * size_of::<Trend>()
            + self.at.capacity() * size_of::<f64>()
            + self.imputed.capacity()
            + self.measures.capacity() * size_of::<[f64; WAYS]>()
    }

    /// Low, median and high of every field among the points of the level's forest that are like the last one in everything else.
    fn expectations(&self) -> Vec<Option<[f64; 3]>> {
        let outlook = &self.outlooks[0];
        let axes = outlook.axes().len();
        // The newest reading of a shingle comes last.
        let held: Vec<(&[f32], u32)> =
            outlook.forest().points().map(|(held, count)| (&held[held.len() - axes..], count)).collect();
        // How far each point is in each coordinate, to be summed for every field over all others.
        let apart: Vec<Vec<f64>> = (outlook.point().iter().zip(outlook.weights()).enumerate())
            .map(|(axis, (&own, &weight))| {
                let apart = |held: f32| f64::from(weight) * (f64::from(held) - f64::from(own)).abs();
                held.iter().map(|(held, _)| apart(held[axis])).collect()
            })
            .collect();
        let mut distances = vec![0.0; held.len()];
        let mut precedents = Vec::with_capacity(held.len());
        let of_field = |field: usize| {
            distances.fill(0.0);
            for (axis, apart) in outlook.axes().iter().zip(&apart) {
                if *axis != Axis::Field(field) {
                    distances.iter_mut().zip(apart).for_each(|(distance, apart)| *distance += apart);
                }
            }
            let points = held.iter().zip(&distances);
            precedents.clear();
            precedents.extend(points.map(|(&(held, count), &distance)| Precedent {
                distance,
                value: f64::from(held[field]),
                count,
            }));
            expectation(&mut precedents).map(|band| band.map(|coordinate| self.value(field, coordinate)))
        };
        (0..self.scales.len()).map(of_field).collect()
    }

    /// Lets the time of day, and the day of the week, count once the sensor has lived through enough of them.
    fn turn_calendar(&mut self, ts: i64) {
        let days = (ts - self.since) as f64 / MICROS_OF_DAY;
        let Calendar { day, week } = &mut self.calendar;
        for (context, needed) in [(day, DAYS_FOR_DAY), (week, DAYS_FOR_WEEK)] {
            if *context == Context::Kept && days >= needed {
                *context = Context::Counts;
            }
        }
    }

    fn scene<'a>(
        at: &'a [f64],
        scales: &'a [Scale],
        trends: &'a [Trend],
        row: Row<'_>,
        config: &DetectorConfig,
        calendar: Calendar,
    ) -> Scene<'a> {
        let local_seconds = config.time_zone.local_seconds(row.ts);
        let at_rest = scales.iter().all(Scale::is_at_rest);
        Scene { at, scales, trends, local_seconds, calendar, at_rest }
    }
}

/// What part the clock can have: at the pace of the first rows, does the forests' memory span enough days?
fn calendar(opening: &[(i64, Vec<f64>)], config: &DetectorConfig) -> Calendar {
    let mut intervals: Vec<i64> = opening.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
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
