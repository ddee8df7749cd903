//! The models of all fields of a sensor: the forecast and the course of each field, and the
//! covariance of their residuals.

use serde::{Deserialize, Serialize};

use crate::course::{COURSE_MEASURES, Course};
use crate::covariance::Covariance;
use crate::forecast::{FORECAST_MEASURES, Forecast};
use crate::scale::Scale;

/// Measures of each field: those of its forecast, then those of its course.
pub(crate) const FIELD_MEASURES: usize = FORECAST_MEASURES + COURSE_MEASURES;

/// The models of all fields of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct FieldModels {
    forecasts: Vec<Forecast>,
    courses: Vec<Course>,
    /// Empty with one field.
    covariance: Covariance,
    #[serde(skip)]
    residuals: Vec<f64>,
}

impl FieldModels {
    /// Creates the models of fields that start at these coordinates.
    pub(crate) fn new(first: impl Iterator<Item = f64>) -> Self {
        let (forecasts, courses): (Vec<_>, Vec<_>) =
            first.map(|coordinate| (Forecast::new(coordinate), Course::new(coordinate))).unzip();
        let covariance =
            if forecasts.len() > 1 { Covariance::new(forecasts.len()) } else { Covariance::default() };
        Self { forecasts, courses, covariance, residuals: Vec::new() }
    }

    /// Returns the number of fields.
    pub(crate) fn len(&self) -> usize {
        self.forecasts.len()
    }

    /// Compares a reading with the forecasts. An imputed coordinate is passed over. Adds
    /// [`FIELD_MEASURES`] measures for each field.
    pub(crate) fn follow(
        &mut self,
        coordinates: &[f64],
        imputed: &[bool],
        scales: &[Scale],
        after_silence: bool,
        measures: &mut Vec<f64>,
    ) {
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
                measures.extend([0.0; FIELD_MEASURES]);
            } else {
                forecast.follow(coordinate, scale.least_residual());
                measures.extend(forecast.measures());
                measures.extend(course.observe(coordinate, scale.spread()));
            }
        }
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
            self.residuals.clear();
            self.residuals.extend(self.forecasts.iter().map(Forecast::residual));
            self.covariance.learn(&self.residuals, rate);
        }
    }

    /// Returns the last residual of each field, in units of its usual size. Without one, it is 0.
    pub(crate) fn residuals(&self) -> impl Iterator<Item = f64> {
        self.forecasts.iter().map(Forecast::residual)
    }

    /// Returns Hotelling's T² of the last residuals.
    pub(crate) fn joint(&mut self) -> f64 {
        self.covariance.squared_distance(self.forecasts.iter().map(Forecast::residual))
    }

    /// Returns Hotelling's T² of the residuals' moving means. A missing value says nothing.
    pub(crate) fn joint_drift(&mut self, imputed: &[bool]) -> f64 {
        let drift = |(forecast, imputed): (&Forecast, &bool)| if *imputed { 0.0 } else { forecast.drift() };
        self.covariance.squared_distance(self.forecasts.iter().zip(imputed).map(drift))
    }

    /// Takes over what is known of the fields that stay. `sources` has the index of each field in
    /// `known`.
    pub(crate) fn take_over(&mut self, known: &mut Self, sources: &[Option<usize>]) {
        for (field, source) in sources.iter().enumerate() {
            let Some(index) = *source else { continue };
            std::mem::swap(&mut self.forecasts[field], &mut known.forecasts[index]);
            std::mem::swap(&mut self.courses[field], &mut known.courses[index]);
        }
        self.covariance.take_over(&known.covariance, sources);
    }

    /// Returns whether these are consistent models of this many fields.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        self.forecasts.len() == fields
            && self.courses.len() == fields
            && self.courses.iter().all(Course::is_sound)
            && self.forecasts.iter().all(Forecast::is_sound)
            && self.covariance.is_sound(if fields > 1 { fields } else { 0 })
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.forecasts.capacity() * size_of::<Forecast>()
            + self.courses.capacity() * size_of::<Course>()
            + self.courses.iter().map(Course::memory_usage).sum::<usize>()
            + self.covariance.memory_usage()
            + self.residuals.capacity() * size_of::<f64>()
    }
}
