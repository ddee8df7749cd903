//! The progress of a backtest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::format::count;
use crate::progress_line::ProgressLine;
use crate::terminal::errln;

/// The interval of updates on a terminal.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// What the threads have done so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) readings: AtomicU64,
    pub(super) sensors: AtomicU64,
}

/// Shows what the threads have done of all readings and sensors.
#[derive(Debug)]
pub(super) struct Progress {
    line: ProgressLine,
    started: Instant,
    sensors: u64,
    readings: u64,
}

impl Progress {
    pub(super) fn new(sensors: u64, readings: u64) -> Self {
        Self { line: ProgressLine::new(), started: Instant::now(), sensors, readings }
    }

    /// Shows the progress.
    pub(super) fn show(&mut self, done: &Done) {
        let text = self.text(done, self.started.elapsed());
        self.line.show(|| text);
    }

    /// Replaces the progress by a summary.
    pub(super) fn finish(&self, done: &Done) {
        self.line.finish();
        let took = self.started.elapsed();
        let readings = done.readings.load(Ordering::Relaxed);
        let rate = readings as f64 / took.as_secs_f64().max(1e-3);
        errln!(
            "backtest: {} of {} in {:.1} s, {rate:.0}/s",
            count(readings, "reading"),
            count(self.sensors, "sensor"),
            took.as_secs_f64()
        );
    }

    fn text(&self, done: &Done, took: Duration) -> String {
        let readings = done.readings.load(Ordering::Relaxed);
        let sensors = done.sensors.load(Ordering::Relaxed);
        let rate = readings as f64 / took.as_secs_f64().max(1e-3);
        let share = readings as f64 / self.readings.max(1) as f64;
        let left = self.readings.saturating_sub(readings) as f64 / rate.max(1e-3);
        let left = if readings == 0 { "?".to_owned() } else { duration_words(left) };
        format!(
            "backtest: {:.0} % · {sensors} of {} sensors · {readings} of {} readings · {rate:.0}/s · {left} left",
            (share * 100.0).min(100.0),
            self.sensors,
            self.readings
        )
    }
}

fn duration_words(seconds: f64) -> String {
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
        let progress = Progress::new(4, 10_000);
        let done = Done { readings: AtomicU64::new(2_500), sensors: AtomicU64::new(1) };
        let line = progress.text(&done, Duration::from_secs(50));
        assert_eq!(line, "backtest: 25 % · 1 of 4 sensors · 2500 of 10000 readings · 50/s · 2 min 30 s left");
        assert_eq!([0.4, 59.0, 7_260.0].map(duration_words), ["0 s", "59 s", "2 h 1 min"]);
    }
}
