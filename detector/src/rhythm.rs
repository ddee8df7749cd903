//! A sensor's usual interval between readings. It converts alarms per week to alarms per reading,
//! and detects a silence.

use serde::{Deserialize, Serialize};

const MICROS_OF_WEEK: f64 = 7.0 * 86_400.0 * 1e6;
/// The running interval covers about this many intervals.
const REACH: u32 = 64;
/// An interval longer than this many usual ones counts as this many.
const CLIP: f64 = 4.0;
/// A silence is longer than this many usual intervals.
const SILENCE: f64 = 20.0;
/// Intervals that must be known before a silence can be detected.
const KNOWN: u32 = 16;

/// The rhythm of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Rhythm {
    /// Running interval, in microseconds.
    interval: f64,
    /// Number of intervals observed, at most [`REACH`].
    intervals: u32,
}

impl Rhythm {
    /// Observes the time since the last reading, in microseconds. Returns whether it was a silence.
    pub(crate) fn observe(&mut self, micros: i64) -> bool {
        let micros = micros.max(0) as f64;
        let known = self.intervals >= KNOWN;
        let silence = known && micros > SILENCE * self.interval;
        self.intervals = (self.intervals + 1).min(REACH);
        let counted = if known { micros.min(CLIP * self.interval) } else { micros };
        self.interval += (counted - self.interval) / f64::from(self.intervals);
        silence
    }

    /// Returns the usual interval in microseconds, or 0 before the first interval.
    pub(crate) fn interval(&self) -> f64 {
        self.interval
    }

    /// Returns the number of readings in a week, at least 1.
    pub(crate) fn readings_per_week(&self) -> f64 {
        if self.interval > 0.0 { (MICROS_OF_WEEK / self.interval).max(1.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_detected_and_hardly_changes_the_usual_interval() {
        let mut rhythm = Rhythm::default();
        for _ in 0..100 {
            assert!(!rhythm.observe(1_000_000));
        }
        assert_eq!(rhythm.readings_per_week(), 604_800.0);
        assert!(rhythm.observe(3_600_000_000));
        assert!(rhythm.interval() < 1_100_000.0);
        assert!(!rhythm.observe(1_000_000));
    }

    #[test]
    fn another_rate_becomes_the_usual_interval() {
        let mut rhythm = Rhythm::default();
        for _ in 0..100 {
            rhythm.observe(1_000_000);
        }
        let silences = (0..300).filter(|_| rhythm.observe(60_000_000)).count();
        assert!(silences < 80, "{silences}");
        assert!((50e6..70e6).contains(&rhythm.interval()), "{}", rhythm.interval());
    }
}
