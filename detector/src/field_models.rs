//! The models of all fields of a sensor: the forecast and the course of each field, the covariance of
//! their residuals, and the relations of their values.

use serde::{Deserialize, Serialize};

use crate::course::{COURSE_MEASURES, Course};
use crate::covariance::Covariance;
use crate::forecast::{FORECAST_MEASURES, Forecast, logarithm};
use crate::relations::Relations;
use crate::scale::Scale;

/// The index of a field's relation to the others among its measures: after those of its forecast and
/// of its course.
pub(crate) const RELATION: usize = FORECAST_MEASURES + COURSE_MEASURES;
/// Measures of each of several fields.
pub(crate) const FIELD_MEASURES: usize = RELATION + 1;

/// Shrinkage of the covariance of the residuals.
const RESIDUAL_SHRINKAGE: f64 = 0.05;

/// The models of all fields of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct FieldModels {
    forecasts: Vec<Forecast>,
    courses: Vec<Course>,
    /// Empty with one field.
    covariance: Covariance,
    /// Empty with one field.
    relations: Relations,
    /// Of the last reading, in units of their usual size; 0 for a field that it lacks.
    #[serde(skip)]
    residuals: Vec<f64>,
}

/// A reading in coordinates.
#[derive(Clone, Copy)]
pub(crate) struct Coordinates<'a> {
    /// One for each field.
    pub(crate) of_fields: &'a [f64],
    /// Whether the reading lacks the field.
    pub(crate) imputed: &'a [bool],
    pub(crate) scales: &'a [Scale],
    pub(crate) after_silence: bool,
}

impl FieldModels {
    /// Creates the models of fields that start at these coordinates.
    pub(crate) fn new(first: impl Iterator<Item = f64>) -> Self {
        let (forecasts, courses): (Vec<_>, Vec<_>) =
            first.map(|coordinate| (Forecast::new(coordinate), Course::new(coordinate))).unzip();
        let (covariance, relations) = if forecasts.len() > 1 {
            (Covariance::new(forecasts.len(), RESIDUAL_SHRINKAGE), Relations::new(forecasts.len()))
        } else {
            (Covariance::default(), Relations::default())
        };
        Self { forecasts, courses, covariance, relations, residuals: Vec::new() }
    }

    /// Returns the number of fields.
    pub(crate) fn len(&self) -> usize {
        self.forecasts.len()
    }

    /// Compares a reading with the models. An imputed coordinate is passed over. Adds
    /// [`FIELD_MEASURES`] measures for each field; a single field has no relation.
    pub(crate) fn follow(&mut self, reading: Coordinates<'_>, measures: &mut Vec<f64>) {
        let Coordinates { of_fields, imputed, scales, after_silence } = reading;
        self.residuals.clear();
        let has_relations = self.forecasts.len() > 1;
        let fields = self.forecasts.iter_mut().zip(&mut self.courses);
        for (((forecast, course), &coordinate), (&imputed, scale)) in
            fields.zip(of_fields).zip(imputed.iter().zip(scales))
        {
            if after_silence {
                forecast.restart();
                course.restart();
            }
            if imputed {
                forecast.pass_over();
                measures.extend([0.0; RELATION]);
            } else {
                forecast.follow(coordinate, scale.least_residual(), scale.spread());
                measures.extend(forecast.measures());
                measures.extend(course.observe(coordinate, scale.spread()));
            }
            if has_relations {
                measures.push(0.0);
            }
            self.residuals.push(forecast.residual());
        }
        if has_relations {
            self.relations.observe(self.forecasts.iter().map(Forecast::standard_score));
            for (of_field, size) in measures.chunks_mut(FIELD_MEASURES).zip(self.relations.sizes()) {
                of_field[RELATION] = logarithm(size);
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
        if learn && self.forecasts.len() > 1 {
            self.relations.learn(rate);
            // A reading that lacks a field says nothing about what its residuals do together.
            if !imputed.contains(&true) {
                self.covariance.learn(&self.residuals, rate);
            }
        }
    }

    /// Returns the residual of each field of the last reading, in units of its usual size; 0 for a field
    /// that it lacks.
    pub(crate) fn residuals(&self) -> &[f64] {
        &self.residuals
    }

    /// Returns Hotelling's T² of the last residuals.
    pub(crate) fn joint(&mut self) -> f64 {
        self.covariance.squared_distance(self.residuals.iter().copied())
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
        self.relations.take_over(&known.relations, sources);
    }

    /// Returns whether these are consistent models of this many fields.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        self.forecasts.len() == fields
            && self.courses.len() == fields
            && self.courses.iter().all(Course::is_sound)
            && self.forecasts.iter().all(Forecast::is_sound)
            && self.covariance.is_sound(if fields > 1 { fields } else { 0 })
            && self.relations.is_sound(if fields > 1 { fields } else { 0 })
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.forecasts.capacity() * size_of::<Forecast>()
            + self.courses.capacity() * size_of::<Course>()
            + self.courses.iter().map(Course::memory_usage).sum::<usize>()
            + self.covariance.memory_usage()
            + self.relations.memory_usage()
            + self.residuals.capacity() * size_of::<f64>()
    }
}
