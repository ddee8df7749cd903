//! Learns the readings of a window: the first ones, which calibrate the scales, and all of them if
//! the fields change.

use crate::calibration::Calibration;
use crate::caution::LearningPace;
use crate::config::DetectorConfig;
use crate::counter::Counter;
use crate::detector::Detector;
use crate::model::{Learning, Model, Row};
use crate::state::ScoredRow;
use crate::steps::{StepRow, Steps};
use crate::surprise::MeasureHistories;
use crate::window::{Window, WindowRow};

impl Detector {
    /// Fixes the fields, the scales and the forest by the first readings, and learns these
    /// together. Returns the score of the last one.
    pub(crate) fn calibrate(&mut self) -> Result<ScoredRow, rrcf_rs::Error> {
        let Self { config, seed, state, row, .. } = self;
        if config.fields.is_empty() {
            state.fields = state.tracker.window().map(Window::first_fields).unwrap_or_default();
        }
        state.counters = counters(&state.fields, config);
        let window = state.tracker.window().map(|window| window.rows(&state.fields)).unwrap_or_default();
        let rows = grown(window, &mut state.counters);
        state.steps = Steps::new(state.fields.len());
        state.model = Some(Model::calibrate(&rows, config, *seed, None)?);
        state.histories = MeasureHistories::new(state.views(config));
        let mut scored = ScoredRow::default();
        for (ts, values) in &rows {
            scored = state.score(config, *ts, values, false, true)?;
            row.clone_from(values);
        }
        Ok(scored)
    }

    /// Decides the fields once the window is full. If they change, a new forest takes over the points
    /// of the old one, and learns the readings of the window. If the scales of the first readings do not
    /// suit those of the first window, the detector begins again with its readings. An open anomaly delays
    /// the decision: its readings must not become normal.
    pub(crate) fn decide_fields(&mut self) -> Result<(), rrcf_rs::Error> {
        let state = &mut self.state;
        if !state.tracker.is_full() || !state.regime.is_calm() {
            return Ok(());
        }
        let is_suited = !state.tracker.is_in_first_window() || self.are_scales_suited();
        let state = &mut self.state;
        let are_fixed = !self.config.fields.is_empty();
        let decided = if are_fixed { None } else { state.tracker.decide(&state.fields, &self.config) };
        let decided = decided.or_else(|| (!is_suited).then(|| state.fields.clone()));
        if let Some(fields) = decided {
            self.relearn(fields, is_suited)?;
        }
        let state = &mut self.state;
        let constants = state.tracker.constants();
        let rows = state.tracker.window().map(|window| window.rows(&constants)).unwrap_or_default();
        state.watch.renew(constants, &rows);
        state.tracker.close();
        self.report_fields();
        Ok(())
    }

    /// Returns whether the scales, which the first readings have calibrated, suit all readings of the
    /// window.
    fn are_scales_suited(&self) -> bool {
        let Self { config, state, .. } = self;
        let window = state.tracker.window().map(|window| window.rows(&state.fields)).unwrap_or_default();
        let rows = grown(window, &mut counters(&state.fields, config));
        state.model.as_ref().is_none_or(|model| model.suits(&rows))
    }

    /// Replaces the fields. The new forest takes over the points of the old one, and each field that
    /// stays keeps what is known of it, if its scale is suited. If that is impossible, the detector
    /// begins again with the readings of the window.
    fn relearn(&mut self, fields: Vec<String>, is_suited: bool) -> Result<(), rrcf_rs::Error> {
        let Self { config, seed, state, row, .. } = self;
        let window = state.tracker.window().map(|window| window.rows(&fields)).unwrap_or_default();
        let silences: Vec<bool> = window.iter().map(|row| row.after_silence).collect();
        let known_counters = std::mem::replace(&mut state.counters, counters(&fields, config));
        let known_fields = std::mem::replace(&mut state.fields, fields);
        let known_steps = std::mem::replace(&mut state.steps, Steps::new(state.fields.len()));
        let rows = grown(window, &mut state.counters);
        let sources: Vec<Option<usize>> =
            state.fields.iter().map(|field| known_fields.binary_search(field).ok()).collect();
        let constants: Vec<Option<f64>> =
            state.fields.iter().map(|field| state.watch.constant(field)).collect();
        // The watched fields are not part of the rows that are learnt here.
        state.watch.pass_over();
        // The views of one field are others than those of several.
        let goes_on = is_suited && known_fields.len() > 1 && state.fields.len() > 1 && config.shingle == 1;
        let known_model = state.model.take().filter(|_| goes_on);
        let mut model = Model::calibrate(&rows, config, *seed, known_model.as_ref())?;
        if let Some(mut known) = known_model {
            model.take_over(&known, &sources, &constants)?;
            let rate = state.rate(config);
            for ((ts, values), &after_silence) in rows.iter().zip(&silences) {
                let window_row = Row { ts: *ts, values, after_silence };
                state.steps.observe(StepRow { ts: *ts, values, after_silence }, true);
                model.score(window_row, config, Learning { pace: LearningPace::Full, turn: true, rate })?;
                model.learn_pasts();
                row.clone_from(values);
            }
            model.restore(&mut known, &sources);
            for (counter, source) in state.counters.iter_mut().zip(&sources) {
                if let Some(index) = *source {
                    *counter = known_counters[index];
                }
            }
            state.model = Some(model);
        } else {
            state.model = Some(model);
            state.histories = MeasureHistories::new(state.views(config));
            state.calibration = Calibration::default();
            (state.onset, state.caution, state.regime) = Default::default();
            state.learnt = 0;
            let first_seq = state.seq.saturating_sub(rows.len() as u64);
            for ((ts, values), after_silence) in rows.iter().zip(silences) {
                state.learnt += 1;
                let scored = state.score(config, *ts, values, after_silence, true)?;
                state.onset.begins(first_seq + state.learnt, scored.parts.onset);
                row.clone_from(values);
            }
        }
        // What is known of a field's values reaches farther back than the window.
        let (watched_steps, watched_fields) = state.watch.known();
        state.steps.take_over(watched_steps, &watched_fields, &state.fields);
        state.steps.take_over(known_steps, &known_fields, &state.fields);
        Ok(())
    }

    /// Makes the report about the fields.
    pub(crate) fn report_fields(&mut self) {
        let mut report = self.state.tracker.report(&self.state.fields, &self.config);
        for (name, remark) in self.state.fields.iter().zip(self.state.steps.remarks()) {
            let field = report.standings.iter_mut().find(|field| field.name == *name);
            if let Some(field) = field.filter(|field| field.remark.is_none()) {
                field.remark = remark;
            }
        }
        self.fields_report = Some(report);
    }
}

fn counters(fields: &[String], config: &DetectorConfig) -> Vec<Option<Counter>> {
    fields.iter().map(|name| config.counters.contains(name).then(Counter::default)).collect()
}

/// Replaces the values of counters by their growth. It is unknown where the time has gone back.
fn grown(rows: Vec<WindowRow>, counters: &mut [Option<Counter>]) -> Vec<(i64, Vec<f64>)> {
    let mut newest = None;
    let rows = rows.into_iter().map(|WindowRow { ts, mut values, .. }| {
        if newest.replace(ts).is_some_and(|newest| ts <= newest) {
            counters.iter_mut().flatten().for_each(Counter::begin_again);
        }
        for (value, counter) in values.iter_mut().zip(&mut *counters) {
            if let Some(counter) = counter {
                *value = counter.growth(ts, *value);
            }
        }
        (ts, values)
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_growth_across_a_clock_that_goes_back_is_unknown() {
        let row = |(second, total): (i64, f64)| WindowRow {
            ts: second * 1_000_000,
            after_silence: false,
            values: vec![total],
        };
        // The reading before the clock goes back is a little too low, so that it is not counted from.
        let rows = [(0, 100.0), (5, 110.0), (9, 109.0), (6, 111.0), (7, 121.0)].map(row);
        let growths = grown(rows.into(), &mut [Some(Counter::default())]);
        let growths: Vec<f64> = growths.into_iter().map(|(_, values)| values[0]).collect();
        assert_eq!(format!("{growths:?}"), "[NaN, 2.0, 0.0, NaN, 10.0]");
    }
}
