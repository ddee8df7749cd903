//! How far a backtest is, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::format::count;

/// Between two lines on a terminal.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);
/// Between two lines in a log.
const INTERVAL_IN_LOGS: Duration = Duration::from_secs(10);

/// What the threads have done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) readings: AtomicU64,
    pub(super) sensors: AtomicU64,
}

/// Shows it.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    shown: Instant,
    is_terminal: bool,
    sensors: u64,
    readings: u64,
}

impl Progress {
    pub(super) fn new(sensors: u64, readings: u64) -> Self {
        let now = Instant::now();
        Self { started: now, shown: now, is_terminal: std::io::stderr().is_terminal(), sensors, readings }
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show(&mut self, done: &Done) {
        if !self.is_terminal && self.shown.elapsed() < INTERVAL_IN_LOGS {
            return;
        }
        self.shown = Instant::now();
        let line = self.line(done, self.started.elapsed());
        if self.is_terminal {
            eprint!("\r\x1b[2K{line}");
            // Nothing can be done about a terminal that does not take its line.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    /// Ends the line with what it took.
    pub(super) fn finish(&self, done: &Done) {
        let took = self.started.elapsed();
        let readings = done.readings.load(Ordering::Relaxed);
        let rate = readings as f64 / took.as_secs_f64().max(1e-3);
        let clear = if self.is_terminal { "\r\x1b[2K" } else { "" };
        eprintln!(
            "{clear}backtest: {} of {} in {:.1} s, {rate:.0}/s",
            count(readings, "reading"),
            count(self.sensors, "sensor"),
            took.as_secs_f64()
        );
    }

    fn line(&self, done: &Done, took: Duration) -> String {
        let readings = done.readings.load(Ordering::Relaxed);
        let sensors = done.sensors.load(Ordering::Relaxed);
        let rate = readings as f64 / took.as_secs_f64().max(1e-3);
        let share = readings as f64 / self.readings.max(1) as f64;
        let left = self.readings.saturating_sub(readings) as f64 / rate.max(1e-3);
        let left = if readings == 0 { "?".to_owned() } else { lasting(left) };
        format!(
            "backtest: {:.0} % · {sensors} of {} sensors · {readings} of {} readings · {rate:.0}/s · {left} left",
            (share * 100.0).min(100.0),
            self.sensors,
            self.readings
        )
    }
}

fn lasting(seconds: f64) -> String {
    let seconds = seconds.round().min(1e9) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_told_from_the_rate_so_far() {
        let progress = Progress { is_terminal: false, ..Progress::new(4, 10_000) };
        let done = Done { readings: AtomicU64::new(2_500), sensors: AtomicU64::new(1) };
        let line = progress.line(&done, Duration::from_secs(50));
        assert_eq!(line, "backtest: 25 % · 1 of 4 sensors · 2500 of 10000 readings · 50/s · 2 min 30 s left");
        assert_eq!([0.4, 59.0, 7_260.0].map(lasting), ["0 s", "59 s", "2 h 1 min"]);
    }
}
