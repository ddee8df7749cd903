//! Learns the readings of a window: the first ones, which calibrate the scales, and all of them if
//! the fields change.

use crate::calibration::Calibration;
use crate::config::DetectorConfig;
use crate::detector::Detector;
use crate::fields::Counter;
use crate::model::Model;
use crate::state::{ScoredRow, State};
use crate::surprise::MeasureHistories;
use crate::window::{Window, WindowRow};

impl Detector {
    /// Fixes the fields, the scales and the forests by the first readings, and learns these
    /// together. Returns the score of the last one.
    pub(crate) fn calibrate(&mut self) -> Result<ScoredRow, rrcf_rs::Error> {
        let Self { config, seed, state, row, .. } = self;
        if config.fields.is_empty() {
            state.fields = state.tracker.window().map(Window::first_fields).unwrap_or_default();
        }
        state.counters = counters(&state.fields, config);
        let window = state.tracker.window().map(|window| window.rows(&state.fields)).unwrap_or_default();
        let rows = grown(window, &mut state.counters);
        state.model = Some(Model::calibrate(&rows, config, *seed)?);
        state.histories = MeasureHistories::new(state.views(config));
        let mut scored = ScoredRow::default();
        for (ts, values) in &rows {
            scored = state.score(config, *ts, values, false, true)?;
            row.clone_from(values);
        }
        if !config.fields.is_empty() {
            state.tracker.close();
        }
        Ok(scored)
    }

    /// Decides the fields once the window is full. If they change, the forests begin again, and
    /// learn the readings of the window. An open anomaly delays the decision: its readings must not
    /// become normal.
    pub(crate) fn decide_fields(&mut self) -> Result<(), rrcf_rs::Error> {
        if !self.state.tracker.is_full() || !self.state.regime.is_calm() {
            return Ok(());
        }
        if let Some(fields) = self.state.tracker.decide(&self.state.fields, &self.config) {
            self.relearn(fields)?;
        }
        self.state.tracker.close();
        self.report_fields();
        Ok(())
    }

    fn relearn(&mut self, fields: Vec<String>) -> Result<(), rrcf_rs::Error> {
        let Self { config, seed, state, row, .. } = self;
        let window = state.tracker.window().map(|window| window.rows(&fields)).unwrap_or_default();
        let silences: Vec<bool> = window.iter().map(|row| row.after_silence).collect();
        state.counters = counters(&fields, config);
        state.fields = fields;
        let rows = grown(window, &mut state.counters);
        state.model = Some(Model::calibrate(&rows, config, *seed)?);
        state.histories = MeasureHistories::new(state.views(config));
        state.calibration = Calibration::default();
        let State { onset, regime, .. } = &mut *state;
        (*onset, *regime) = Default::default();
        state.learnt = 0;
        let first_seq = state.seq.saturating_sub(rows.len() as u64);
        for ((ts, values), after_silence) in rows.iter().zip(silences) {
            state.learnt += 1;
            let scored = state.score(config, *ts, values, after_silence, true)?;
            state.onset.begins(first_seq + state.learnt, scored.surprise.onset);
            row.clone_from(values);
        }
        Ok(())
    }

    /// Makes the report about the fields.
    pub(crate) fn report_fields(&mut self) {
        self.fields_report = Some(self.state.tracker.report(&self.state.fields, &self.config));
    }
}

fn counters(fields: &[String], config: &DetectorConfig) -> Vec<Option<Counter>> {
    fields.iter().map(|name| config.counters.contains(name).then(Counter::default)).collect()
}

/// Replaces the values of counters by their growth.
fn grown(rows: Vec<WindowRow>, counters: &mut [Option<Counter>]) -> Vec<(i64, Vec<f64>)> {
    let rows = rows.into_iter().map(|WindowRow { ts, mut values, .. }| {
        for (value, counter) in values.iter_mut().zip(&mut *counters) {
            if let Some(counter) = counter {
                *value = counter.growth(ts, *value);
            }
        }
        (ts, values)
    });
    rows.collect()
}
