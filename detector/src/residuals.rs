//! The residuals of all fields of a sensor: each field against its own past, and all of them
//! together.
//!
//! A forest of many fields hardly notices that a single one of them is far off. Here each field has
//! tails of its own, so its verdict does not depend on the number of fields. Three questions are
//! asked of all fields together: how rare is the rarest of them, how rare are they on average, and
//! how far are they off, given that their residuals go together (T²)?

use serde::{Deserialize, Serialize};

use crate::covariance::Covariance;
use crate::forecast::{FIELD_MEASURES, Forecast, logarithm};
use crate::scale::Scale;
use crate::tail::Tail;

/// Scales the mean rarity of all fields to about the size of the other measures, because all
/// histograms have the same bin width.
const MEAN_UNIT: f64 = 4.0;
/// The coincidence is that of the fields with the greatest residuals, without the first.
const RANKS: usize = 3;

/// The forecasts of all fields, and the pasts of their residuals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Residuals {
    forecasts: Vec<Forecast>,
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
        let forecasts: Vec<Forecast> = first.map(Forecast::new).collect();
        let fields = forecasts.len();
        let pasts = if fields > 1 { vec![Tail::default(); FIELD_MEASURES * fields] } else { Vec::new() };
        let covariance = if fields > 1 { Covariance::new(fields) } else { Covariance::default() };
        Self { forecasts, pasts, covariance, ..Self::default() }
    }

    /// Compares a reading with the forecasts. An imputed coordinate is passed over. The number of
    /// measures is three with one field, else seven.
    pub(crate) fn follow(
        &mut self,
        coordinates: &[f64],
        imputed: &[bool],
        scales: &[Scale],
        after_silence: bool,
        measures: &mut Vec<f64>,
    ) {
        let fields = self.forecasts.iter_mut().zip(coordinates).zip(imputed).zip(scales);
        for (((forecast, &coordinate), &imputed), scale) in fields {
            if after_silence {
                forecast.restart();
            }
            if imputed {
                forecast.pass_over();
            } else {
                forecast.follow(coordinate, scale.spread());
            }
        }
        self.measures.clear();
        self.measures.extend(self.forecasts.iter().flat_map(Forecast::measures));
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
        let joint = self.covariance.squared_distance(self.forecasts.iter().map(Forecast::residual));
        let joint_drift = self.covariance.squared_distance(self.forecasts.iter().map(Forecast::drift));
        measures.extend(at_once);
        measures.push(logarithm(joint / root));
        measures.extend(lasting);
        measures.push(logarithm(joint_drift / root));
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
        for (forecast, _) in self.forecasts.iter_mut().zip(imputed).filter(|(_, imputed)| !**imputed) {
            forecast.advance(learn, rate);
        }
        if learn && self.forecasts.len() > 1 {
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
        self.forecasts.len() == fields && parts_fit && self.pasts.iter().all(Tail::is_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let numbers = self.measures.capacity() + self.rarities.capacity() + self.values.capacity();
        self.forecasts.capacity() * size_of::<Forecast>()
            + self.pasts.capacity() * size_of::<Tail>()
            + self.pasts.iter().map(Tail::memory_usage).sum::<usize>()
            + self.covariance.memory_usage()
            + numbers * size_of::<f64>()
    }
}
