//! The detector of one sensor.

use rrcf_rs::{Forest, Score};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::DetectorConfig;
use crate::detection::{Detection, Rejected};
use crate::event::{Event, Flagged, Open};
use crate::fields;
use crate::grade::{Calibration, LASTING, grade};
use crate::model::Model;
use crate::scale::OPENING;

/// Everything that is known of one sensor.
///
/// Its state is a function of the readings applied to it, in their order, and of its configuration and name: see
/// [`snapshot`](Self::snapshot).
pub struct Detector {
    pub(crate) config: DetectorConfig,
    pub(crate) seed: u64,
    pub(crate) state: State,
    /// The values of the reading at hand, in the order of the fields.
    row: Vec<f64>,
}

/// What a snapshot holds.
pub(crate) struct State {
    /// Scored readings of the sensor, ever.
    pub(crate) seq: u64,
    /// Readings learnt by this state; fewer than `seq` where the configuration changed.
    pub(crate) learnt: u64,
    pub(crate) newest: Option<i64>,
    /// As configured when the state began.
    pub(crate) warm_up: u32,
    /// Empty until the first reading decides, unless configured.
    pub(crate) fields: Vec<String>,
    /// The first readings, held back until the fields' scales are known.
    pub(crate) opening: Vec<f64>,
    pub(crate) model: Option<Model>,
    pub(crate) calibration: Calibration,
    pub(crate) event: Option<Open>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("seq", &self.state.seq)
            .field("newest", &self.state.newest)
            .field("fields", &self.state.fields)
            .finish_non_exhaustive()
    }
}

impl Detector {
    /// A detector that knows nothing yet. The configuration must be [valid](DetectorConfig::validate).
    pub fn new(sensor: &str, config: &DetectorConfig) -> Self {
        Self::resume(sensor, config, 0, None)
    }

    /// A detector that knows nothing but how many readings were scored before and when the newest was: for a sensor whose
    /// configuration has changed. It learns anew, and its numbering goes on.
    pub fn resume(sensor: &str, config: &DetectorConfig, seq: u64, newest: Option<i64>) -> Self {
        let state = State {
            seq,
            learnt: 0,
            newest,
            warm_up: config.warm_up,
            fields: config.sorted_fields(),
            opening: Vec::new(),
            model: None,
            calibration: Calibration::default(),
            event: None,
        };
        Self::with_state(sensor, config, state)
    }

    pub(crate) fn with_state(sensor: &str, config: &DetectorConfig, state: State) -> Self {
        let seed = xxh3_64_with_seed(sensor.as_bytes(), config.fingerprint());
        Self { config: config.clone(), seed, state, row: Vec::new() }
    }

    /// Scores a reading and learns it.
    ///
    /// `ts_micros` is newer than that of every reading before (the caller sees to that); `names` are sorted and distinct, and
    /// `values` belong to them in order. Fields that make no part of the point are ignored.
    ///
    /// # Errors
    /// [`Rejected`] where the reading lacks a field of the point or a value is not finite. Nothing has changed then.
    pub fn apply(&mut self, ts_micros: i64, names: &[String], values: &[f64]) -> Result<Detection, Rejected> {
        let chosen = if self.state.learnt == 0 {
            let chosen = fields::choose(self.config.sorted_fields(), names)?;
            fields::select(&chosen, names, values, &mut self.row)?;
            Some(chosen)
        } else {
            fields::select(&self.state.fields, names, values, &mut self.row)?;
            None
        };
        let learnt = self.state.learnt + 1;
        let score = self.learn(chosen.as_ref().map_or(self.state.fields.len(), Vec::len), learnt)?;

        let state = &mut self.state;
        state.fields = chosen.unwrap_or_else(|| std::mem::take(&mut state.fields));
        state.learnt = learnt;
        state.seq += 1;
        state.newest = Some(ts_micros);
        let warm_up = u64::from(state.warm_up);
        let points = state.model.as_ref().map_or(0, |model| model.forest.len());
        // The first half of the warm-up fills the forest; scores are worth remembering from then on.
        let rarity = if learnt > warm_up / 2 { state.calibration.judge(&score, points) } else { 0.0 };
        let grade = (learnt > warm_up).then(|| grade(rarity));
        let rare_enough = libm::log10(self.config.false_alarm_every as f64);
        let anomaly =
            grade.is_some() && (rarity >= rare_enough || (state.event.is_some() && rarity >= LASTING));
        let event = self.follow_event(anomaly, ts_micros, score.codisp, grade.unwrap_or(0.0));
        Ok(Detection { seq: self.state.seq, score: score.codisp, grade, anomaly, event })
    }

    /// Passes over a reading that must not be applied: only the newest timestamp moves.
    pub fn skip(&mut self, ts_micros: i64) {
        self.state.newest = Some(ts_micros);
    }

    /// Scored readings so far.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// Timestamp of the newest reading, in microseconds since 1970.
    pub fn newest(&self) -> Option<i64> {
        self.state.newest
    }

    /// The fields that make the point, sorted; empty until the first reading decides.
    pub fn fields(&self) -> &[String] {
        &self.state.fields
    }

    /// Bytes of memory, those of the forest included.
    pub fn memory_usage(&self) -> usize {
        let state = &self.state;
        size_of::<Self>()
            + state.model.as_ref().map_or(0, Model::memory_usage)
            + state.calibration.memory_usage()
            + state.fields.iter().map(|field| field.capacity() + size_of::<String>()).sum::<usize>()
            + (state.opening.capacity() + self.row.capacity()) * size_of::<f64>()
    }

    /// Feeds the row to the forest, or keeps it until there are enough to know the fields' scales by.
    fn learn(&mut self, fields: usize, learnt: u64) -> Result<Score, Rejected> {
        let state = &mut self.state;
        if let Some(model) = &mut state.model {
            return model.update(&self.row, learnt).map_err(|error| Rejected::Forest(error.to_string()));
        }
        state.opening.extend_from_slice(&self.row);
        if learnt < OPENING as u64 {
            return Ok(Score::default());
        }
        let opening = std::mem::take(&mut state.opening);
        let config = &self.config;
        let opened = Forest::builder(fields)
            .trees(config.trees)
            .window(config.window)
            .shingle(config.shingle)
            .seed(self.seed)
            .build()
            .and_then(|forest| Model::open(forest, &opening));
        match opened {
            Ok((model, score)) => {
                state.model = Some(model);
                Ok(score)
            }
            Err(error) => {
                state.opening = opening;
                state.opening.truncate((learnt as usize - 1) * fields);
                Err(Rejected::Forest(error.to_string()))
            }
        }
    }

    fn follow_event(&mut self, anomaly: bool, at: i64, score: f64, grade: f64) -> Option<Event> {
        let state = &mut self.state;
        if !anomaly {
            return state.event.take().map(|event| event.report(&state.fields, true));
        }
        let contributions = state.model.as_ref().map_or(&[][..], Model::contributions);
        let flagged = Flagged { at, score, grade, contributions };
        let event = match state.event.take() {
            Some(mut event) => {
                event.extend(flagged);
                event
            }
            None => Open::begin(flagged),
        };
        let report = event.report(&state.fields, false);
        state.event = Some(event);
        Some(report)
    }
}

#[cfg(test)]
mod tests;
