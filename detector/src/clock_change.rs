//! The clock of a sensor that has gone back: the time of its detector begins again. The detector
//! keeps what it has learnt, but no duration reaches across the change.

use crate::counter::Counter;
use crate::detector::{AFTERMATH, Detector};
use crate::event::Event;
use crate::guard::Regime;

impl Detector {
    /// Begins the time again if `ts_micros` is not newer than the newest reading: the interval
    /// before it is unknown, a counter's growth too, and an open anomaly ends at its last reading.
    /// Returns that anomaly, if it was announced. The next scored reading counts as one after a silence.
    pub(crate) fn begin_again(&mut self, ts_micros: i64) -> Option<Event> {
        let state = &mut self.state;
        if state.newest.is_none_or(|newest| ts_micros > newest) {
            return None;
        }
        state.newest = None;
        state.newest_scored = None;
        state.has_gone_back = true;
        state.counters.iter_mut().flatten().for_each(Counter::begin_again);
        state.steps.begin_again();
        state.watch.begin_again();
        if let Some(closed) = state.regime.take_closed() {
            return closed.report(true, true);
        }
        if !matches!(state.regime, Regime::Anomalous(_)) {
            return None;
        }
        state.end_open(Regime::Calm { aftermath: AFTERMATH * self.config.smoothing })
    }
}

#[cfg(test)]
mod tests;
