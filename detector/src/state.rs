//! The state of a detector, as a snapshot holds it, and the scoring of a row.

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::config::DetectorConfig;
use crate::fields::Counter;
use crate::guard::Regime;
use crate::level::REACH_PER_POINT;
use crate::model::{Model, Row, RowScore};
use crate::onset::Onset;
use crate::rhythm::Rhythm;
use crate::scale::CALIBRATION_ROWS;
use crate::surprise::{MeasureHistories, Surprise, View, views};
use crate::tracker::Tracker;

/// While an anomaly is open, the forests learn one reading in this many.
const SLOWNESS: u64 = 4;

/// The part of a detector that a snapshot holds.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct State {
    /// Number of the sensor's applied readings, over all configurations.
    pub(crate) seq: u64,
    /// Readings that the forests have learnt. Fewer than `seq` if there were unscored readings, or
    /// if the configuration or the fields have changed.
    pub(crate) learnt: u64,
    /// Timestamp of the newest reading, in microseconds since 1970.
    pub(crate) newest: Option<i64>,
    /// Timestamp of the newest reading that was scored or skipped, in microseconds since 1970.
    pub(crate) newest_scored: Option<i64>,
    /// The setting at the time when the state began.
    pub(crate) warm_up: u32,
    /// Names of the point's fields, sorted. Empty until the first readings decide them, unless they
    /// are configured.
    pub(crate) fields: Vec<String>,
    /// One element per field; `None` if the field is not a counter.
    pub(crate) counters: Vec<Option<Counter>>,
    pub(crate) rhythm: Rhythm,
    /// Keeps the first readings until there are enough of them to calibrate the fields' scales, and
    /// to decide the fields.
    pub(crate) tracker: Tracker,
    pub(crate) model: Option<Model>,
    pub(crate) histories: MeasureHistories,
    pub(crate) calibration: Calibration,
    pub(crate) onset: Onset,
    pub(crate) regime: Regime,
}

/// Scores of a reading, before the guard decides whether it is anomalous.
#[derive(Clone, Copy, Default)]
pub(crate) struct ScoredRow {
    pub(crate) codisp: f64,
    pub(crate) surprise: Surprise,
    pub(crate) stuck: bool,
}

impl State {
    /// Returns the views of the sensor, the level first.
    pub(crate) fn views(&self, config: &DetectorConfig) -> &'static [View] {
        views(self.fields.len(), config.smoothing > 0)
    }

    /// Creates the state of a detector that has learnt no reading.
    pub(crate) fn new(config: &DetectorConfig, seq: u64, newest: Option<i64>) -> Self {
        Self {
            seq,
            learnt: 0,
            newest,
            newest_scored: newest,
            warm_up: config.warm_up,
            fields: config.sorted_fields(),
            counters: Vec::new(),
            rhythm: Rhythm::default(),
            tracker: Tracker::new(config.warm_up),
            model: None,
            histories: MeasureHistories::default(),
            calibration: Calibration::default(),
            onset: Onset::default(),
            regime: Regime::default(),
        }
    }

    /// Scores a row, and learns it: fully if `learning` is true, else at the slow pace of an open
    /// anomaly.
    pub(crate) fn score(
        &mut self,
        config: &DetectorConfig,
        ts: i64,
        values: &[f64],
        after_silence: bool,
        learning: bool,
    ) -> Result<ScoredRow, rrcf_rs::Error> {
        let Some(model) = &mut self.model else { return Ok(ScoredRow::default()) };
        let memory = REACH_PER_POINT * config.shape().points as f64;
        let rate = 1.0 / (self.learnt as f64).clamp(CALIBRATION_ROWS as f64, memory);
        let row = Row { ts, values, after_silence };
        // While an anomaly is open, the forests learn some of its readings, and the histories of
        // the measures learn none.
        let RowScore { codisp, stuck } =
            model.score(row, config, learning || self.learnt.is_multiple_of(SLOWNESS), rate)?;
        // The first half of the warm-up only fills the forests. The measures are representative
        // from then on.
        if self.learnt <= u64::from(self.warm_up) / 2 {
            return Ok(ScoredRow { codisp, surprise: Surprise::default(), stuck });
        }
        let views = views(values.len(), config.smoothing > 0);
        let surprise = self.histories.observe(views, model.measures(), f64::from(config.smoothing));
        if learning {
            self.histories.learn();
            model.learn_pasts();
        }
        Ok(ScoredRow { codisp, surprise, stuck })
    }
}
