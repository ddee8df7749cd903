//! How often a sensor speaks: its usual interval, which turns alarms per week into alarms per reading and tells a silence.

use serde::{Deserialize, Serialize};

const MICROS_OF_WEEK: f64 = 7.0 * 86_400.0 * 1e6;
/// Intervals that the running figure rests on, about.
const REACH: u32 = 64;
/// Intervals longer than this many usual ones count as this many.
const CLIP: f64 = 4.0;
/// A silence is longer than this many usual intervals.
const SILENCE: f64 = 20.0;
/// Intervals that must be known before a silence can be told.
const KNOWN: u32 = 16;

/// The rhythm of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Rhythm {
    /// Running interval, in microseconds.
    interval: f64,
    intervals: u32,
}

impl Rhythm {
    /// Hears of the time since the last reading, in microseconds; whether it was a silence.
    pub(crate) fn hear(&mut self, micros: i64) -> bool {
        let micros = micros.max(0) as f64;
        let known = self.intervals >= KNOWN;
        let silence = known && micros > SILENCE * self.interval;
        self.intervals = (self.intervals + 1).min(REACH);
        let counted = if known { micros.min(CLIP * self.interval) } else { micros };
        self.interval += (counted - self.interval) / f64::from(self.intervals);
        silence
    }

    /// The usual interval in microseconds; 0 before there was one.
    pub(crate) fn interval(&self) -> f64 {
        self.interval
    }

    /// Readings in a week, at least one.
    pub(crate) fn readings_per_week(&self) -> f64 {
        if self.interval > 0.0 { (MICROS_OF_WEEK / self.interval).max(1.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_and_does_not_become_the_rhythm() {
        let mut rhythm = Rhythm::default();
        for _ in 0..100 {
            assert!(!rhythm.hear(1_000_000));
        }
        assert_eq!(rhythm.readings_per_week(), 604_800.0);
        assert!(rhythm.hear(3_600_000_000));
        assert!(rhythm.interval() < 1_100_000.0);
        assert!(!rhythm.hear(1_000_000));
    }

    #[test]
    fn another_rate_becomes_the_rhythm() {
        let mut rhythm = Rhythm::default();
        for _ in 0..100 {
            rhythm.hear(1_000_000);
        }
        let silences = (0..300).filter(|_| rhythm.hear(60_000_000)).count();
        assert!(silences < 80, "{silences}");
        assert!((50e6..70e6).contains(&rhythm.interval()), "{}", rhythm.interval());
    }
}
