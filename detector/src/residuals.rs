//! The residuals of all fields of a sensor: each field against its own past, and all of them
//! together.
//!
//! A forest of many fields hardly notices that a single one of them is far off. Here each field has
//! tails of its own, so its verdict does not depend on the number of fields. Of all fields
//! together: how rare is the rarest of them, how rare are they on average, how far are they off, given
//! that their residuals go together (T²), and are several of them off at once? The same questions are
//! asked of the moving means and powers, and of the courses.

use serde::{Deserialize, Serialize};

use crate::course::{COURSE_MEASURES, Course};
use crate::covariance::Covariance;
use crate::forecast::{FORECAST_MEASURES, Forecast, logarithm};
use crate::scale::Scale;
use crate::tail::Tail;

/// Measures of each field: those of its forecast, then those of its course.
const FIELD_MEASURES: usize = FORECAST_MEASURES + COURSE_MEASURES;

/// Scales the mean rarity of all fields to about the size of the other measures, because all
/// histograms have the same bin width.
const MEAN_UNIT: f64 = 4.0;
/// The coincidence is that of the fields with the greatest residuals, without the first.
const RANKS: usize = 3;

/// The forecasts of all fields, and the pasts of their residuals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Residuals {
    forecasts: Vec<Forecast>,
    courses: Vec<Course>,
    /// The pasts of each field's measures, [`FIELD_MEASURES`] each. Empty with one field.
    pasts: Vec<Tail>,
    covariance: Covariance,
    /// Of the last reading, in the same order as `pasts`.
    #[serde(skip)]
    measures: Vec<f64>,
    #[serde(skip)]
    rarities: Vec<f64>,
    #[serde(skip)]
    values: Vec<f64>,
}

impl Residuals {
    /// Creates the forecasts of fields that start at these coordinates.
    pub(crate) fn new(first: impl Iterator<Item = f64>) -> Self {
        let (forecasts, courses): (Vec<_>, Vec<_>) =
            first.map(|coordinate| (Forecast::new(coordinate), Course::new(coordinate))).unzip();
        let fields = forecasts.len();
        let pasts = if fields > 1 { vec![Tail::default(); FIELD_MEASURES * fields] } else { Vec::new() };
        let covariance = if fields > 1 { Covariance::new(fields) } else { Covariance::default() };
        Self { forecasts, courses, pasts, covariance, ..Self::default() }
    }

    /// Compares a reading with the forecasts. An imputed coordinate is passed over. The number of
    /// measures is that of the [views](crate::surprise::views) without the level.
    pub(crate) fn follow(
        &mut self,
        coordinates: &[f64],
        imputed: &[bool],
        scales: &[Scale],
        after_silence: bool,
        measures: &mut Vec<f64>,
    ) {
        self.measures.clear();
        let fields = self.forecasts.iter_mut().zip(&mut self.courses);
        for (((forecast, course), &coordinate), (&imputed, scale)) in
            fields.zip(coordinates).zip(imputed.iter().zip(scales))
        {
            if after_silence {
                forecast.restart();
                course.restart();
            }
            if imputed {
                forecast.pass_over();
                self.measures.extend([0.0; FIELD_MEASURES]);
            } else {
                forecast.follow(coordinate, scale.least_residual());
                self.measures.extend(forecast.measures());
                self.measures.extend(course.observe(coordinate, scale.spread()));
            }
        }
        if self.forecasts.len() == 1 {
            measures.extend(&self.measures);
            return;
        }
        self.rarities.clear();
        self.rarities.extend(self.pasts.iter().zip(&self.measures).map(|(past, &value)| past.rarity(value)));
        // A missing value says nothing.
        for (rarities, &imputed) in self.rarities.chunks_mut(FIELD_MEASURES).zip(imputed) {
            if imputed {
                rarities.fill(0.0);
            }
        }
        let count = self.forecasts.len() as f64;
        let root = count.sqrt();
        let of = |measure: usize| self.rarities.iter().skip(measure).step_by(FIELD_MEASURES).copied();
        let greatest = |measure: usize| of(measure).fold(0.0, f64::max);
        let mean = |measure: usize| of(measure).sum::<f64>() / count;
        let at_once = [greatest(0), MEAN_UNIT * mean(0)];
        let lasting = [greatest(1).max(greatest(2)), MEAN_UNIT * f64::midpoint(mean(1), mean(2))];
        let of_course = |most: f64, measure: usize| most.max(greatest(FORECAST_MEASURES + measure));
        let greatest_course = (0..COURSE_MEASURES).fold(0.0, of_course);
        let mean_course = (0..COURSE_MEASURES).map(|measure| mean(FORECAST_MEASURES + measure)).sum::<f64>();
        let courses = [greatest_course, MEAN_UNIT / COURSE_MEASURES as f64 * mean_course];
        let joint = self.covariance.squared_distance(self.forecasts.iter().map(Forecast::residual));
        let drift = |(forecast, imputed): (&Forecast, &bool)| if *imputed { 0.0 } else { forecast.drift() };
        let joint_drift = self.covariance.squared_distance(self.forecasts.iter().zip(imputed).map(drift));
        measures.extend(at_once);
        measures.push(logarithm(joint / root));
        measures.extend(lasting);
        measures.push(logarithm(joint_drift / root));
        measures.extend(courses);
        // Two fields that are off at once.
        self.values.clear();
        self.values.extend(self.forecasts.iter().map(|forecast| forecast.residual().abs()));
        let ranks = self.values.len().min(RANKS);
        self.values.select_nth_unstable_by(ranks - 1, |a, b| b.total_cmp(a));
        self.values[..ranks].sort_by(|a, b| b.total_cmp(a));
        let others = &self.values[1..ranks];
        measures.push(others.iter().map(|&size| logarithm(size)).sum::<f64>() / others.len() as f64);
    }

    /// Adds the last reading to the forecasts' lags, and learns it if `learn` is true. `rate` is its
    /// weight in the running means.
    pub(crate) fn advance(&mut self, imputed: &[bool], learn: bool, rate: f64) {
        let fields = self.forecasts.iter_mut().zip(&mut self.courses).zip(imputed);
        for ((forecast, course), _) in fields.filter(|(_, imputed)| !**imputed) {
            forecast.advance(learn, rate);
            if learn {
                course.learn(rate);
            }
        }
        // A reading that lacks a field says nothing about what its fields do together.
        if learn && self.forecasts.len() > 1 && !imputed.contains(&true) {
            self.values.clear();
            self.values.extend(self.forecasts.iter().map(Forecast::residual));
            self.covariance.learn(&self.values, rate);
        }
    }

    /// Adds the measures of the last reading to the fields' pasts.
    pub(crate) fn learn_pasts(&mut self, imputed: &[bool]) {
        let fields = self.pasts.chunks_mut(FIELD_MEASURES).zip(self.measures.chunks(FIELD_MEASURES));
        for ((pasts, measures), _) in fields.zip(imputed).filter(|(_, imputed)| !**imputed) {
            pasts.iter_mut().zip(measures).for_each(|(past, &value)| past.learn(value));
        }
    }

    /// Takes over what is known of the fields that stay. `sources` has the index of each field in
    /// `known`.
    pub(crate) fn take_over(&mut self, known: &mut Self, sources: &[Option<usize>]) {
        for (field, source) in sources.iter().enumerate() {
            let Some(index) = *source else { continue };
            std::mem::swap(&mut self.forecasts[field], &mut known.forecasts[index]);
            std::mem::swap(&mut self.courses[field], &mut known.courses[index]);
            let own = self.pasts.chunks_mut(FIELD_MEASURES).nth(field);
            let other = known.pasts.chunks_mut(FIELD_MEASURES).nth(index);
            if let (Some(own), Some(other)) = (own, other) {
                own.swap_with_slice(other);
            }
        }
        self.covariance.take_over(&known.covariance, sources);
    }

    /// Returns the greatest rarity of each field's measures of the last reading. Empty with one
    /// field.
    pub(crate) fn field_rarities(&self) -> impl Iterator<Item = f64> {
        self.rarities.chunks(FIELD_MEASURES).map(|of_field| of_field.iter().copied().fold(0.0, f64::max))
    }

    /// Returns whether these residuals fit a sensor with this many fields.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        let parts_fit = if fields > 1 {
            self.pasts.len() == FIELD_MEASURES * fields && self.covariance.is_sound(fields)
        } else {
            self.pasts.is_empty() && self.covariance.is_sound(0)
        };
        self.forecasts.len() == fields
            && self.courses.len() == fields
            && self.courses.iter().all(Course::is_sound)
            && self.forecasts.iter().all(Forecast::is_sound)
            && parts_fit
            && self.pasts.iter().all(Tail::is_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let numbers = self.measures.capacity() + self.rarities.capacity() + self.values.capacity();
        self.forecasts.capacity() * size_of::<Forecast>()
            + self.courses.capacity() * size_of::<Course>()
            + self.courses.iter().map(Course::memory_usage).sum::<usize>()
            + self.pasts.capacity() * size_of::<Tail>()
            + self.pasts.iter().map(Tail::memory_usage).sum::<usize>()
            + self.covariance.memory_usage()
            + numbers * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measures of a reading, by name.
    struct Measured {
        field: f64,
        mean: f64,
        joint: f64,
        coincidence: f64,
    }

    const PRESENT: [bool; 3] = [false; 3];

    fn observe(residuals: &mut Residuals, values: [f64; 3], imputed: [bool; 3]) -> Measured {
        let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
        let mut measures = Vec::new();
        residuals.follow(&values, &imputed, &scales, false, &mut measures);
        let [field, mean, joint, .., coincidence] = measures[..] else { panic!("{measures:?}") };
        Measured { field, mean, joint, coincidence }
    }

    fn learnt() -> Residuals {
        let mut residuals = Residuals::new([0.0; 3].into_iter());
        let mut noise = crate::noise::Noise::new(7);
        for i in 0_u32..5_000 {
            observe(&mut residuals, [0; 3].map(|_| noise.uniform() - 0.5), PRESENT);
            residuals.advance(&PRESENT, true, 1.0 / f64::from(i.clamp(16, 2_000)));
            residuals.learn_pasts(&PRESENT);
        }
        residuals
    }

    #[test]
    fn one_field_that_is_off_shows_in_field_and_joint_and_not_in_the_coincidence() {
        let usual = observe(&mut learnt(), [0.1, -0.1, 0.05], PRESENT);
        let one = observe(&mut learnt(), [5.0, -0.1, 0.05], PRESENT);
        assert!(one.field > usual.field + 3.0 && one.joint > usual.joint + 2.0);
        assert!((one.coincidence - usual.coincidence).abs() < 0.5);
        let all = observe(&mut learnt(), [5.0, -5.0, 5.0], PRESENT);
        assert!(all.coincidence > one.coincidence + 3.0 && all.mean > 2.0 * one.mean);
    }

    #[test]
    fn a_missing_field_says_nothing() {
        let mut residuals = learnt();
        observe(&mut residuals, [5.0, 0.0, 0.0], PRESENT);
        let missing = observe(&mut residuals, [5.0, 0.0, 0.0], [true, false, false]);
        let usual = observe(&mut learnt(), [0.0; 3], PRESENT);
        assert!(missing.field <= usual.field + 0.5, "{} {}", missing.field, usual.field);
        assert_eq!(residuals.field_rarities().next(), Some(0.0));
    }

    #[test]
    fn a_silence_restarts_the_forecasts() {
        let mut residuals = learnt();
        observe(&mut residuals, [5.0, 0.0, 0.0], PRESENT);
        residuals.advance(&PRESENT, false, 0.0);
        let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
        let drift_after = |silence: bool| {
            let mut residuals = residuals.clone();
            let mut measures = Vec::new();
            residuals.follow(&[0.0; 3], &PRESENT, &scales, silence, &mut measures);
            residuals.forecasts[0].drift()
        };
        assert!(drift_after(true).abs() < 0.5 * drift_after(false).abs());
    }
}
