//! Consecutive anomalous readings are one event, with a start, an end, a peak and the causes of the peak.

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// An anomaly: what stands, or will stand, in one row of the table of anomalies.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Timestamp of the first anomalous reading, in microseconds since 1970.
    pub started: i64,
    /// Timestamp of the last anomalous reading, once the event is over.
    pub ended: Option<i64>,
    /// Whether it ended because it has lasted so long that it is the new normal.
    pub accepted: bool,
    /// Timestamp of the reading that is the rarest by itself. The grade also remembers what was shortly before.
    pub peak_at: i64,
    /// Score of that reading.
    pub peak_score: f64,
    /// The highest grade.
    pub peak_grade: f64,
    /// Anomalous readings so far.
    pub readings: u32,
    /// Whether it is announced for the first time.
    pub is_new: bool,
    /// Each field's part in the anomaly at the peak and what was expected of it, in the detector's order of fields.
    pub causes: Vec<Cause>,
}

/// One anomalous reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flagged<'a> {
    pub(crate) at: i64,
    pub(crate) score: f64,
    pub(crate) grade: f64,
    /// How rare it is by itself.
    pub(crate) now: f64,
    pub(crate) causes: &'a [Cause],
}

/// The event that is going on.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Open {
    pub(crate) started: i64,
    last: i64,
    peak_at: i64,
    peak_score: f64,
    peak_grade: f64,
    peak_now: f64,
    readings: u32,
    causes: Vec<Cause>,
}

impl Open {
    /// Begins an event.
    pub(crate) fn begin(reading: Flagged) -> Self {
        Self {
            started: reading.at,
            last: reading.at,
            peak_at: reading.at,
            peak_score: reading.score,
            peak_grade: reading.grade,
            peak_now: reading.now,
            readings: 1,
            causes: reading.causes.to_vec(),
        }
    }

    /// Adds the next anomalous reading. Of two readings alike the earlier stays the peak.
    pub(crate) fn extend(&mut self, reading: Flagged) {
        self.last = reading.at;
        self.readings = self.readings.saturating_add(1);
        self.peak_grade = self.peak_grade.max(reading.grade);
        if reading.now > self.peak_now {
            self.peak_at = reading.at;
            self.peak_score = reading.score;
            self.peak_now = reading.now;
            self.causes = reading.causes.to_vec();
        }
    }

    /// The event as it stands.
    pub(crate) fn report(&self, closed: bool, accepted: bool) -> Event {
        Event {
            started: self.started,
            ended: closed.then_some(self.last),
            accepted,
            peak_at: self.peak_at,
            peak_score: self.peak_score,
            peak_grade: self.peak_grade,
            readings: self.readings,
            is_new: false,
            causes: self.causes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Direction;

    fn cause(share: f64) -> Vec<Cause> {
        let (field, direction) = ("a".to_owned(), Direction::High);
        vec![Cause { field, share, actual: 3.0, expected: 1.0, low: 0.0, high: 2.0, direction }]
    }

    fn flagged(at: i64, grade: f64, causes: &[Cause]) -> Flagged<'_> {
        Flagged { at, score: grade * 10.0, grade, now: 5.0 * grade, causes }
    }

    #[test]
    fn an_event_spans_its_readings_and_keeps_its_peak() {
        let mut open = Open::begin(flagged(10, 0.8, &cause(1.0)));
        open.extend(flagged(20, 0.9, &cause(0.25)));
        open.extend(flagged(30, 0.9, &cause(0.5)));
        let running = open.report(false, false);
        assert_eq!((running.started, running.ended, running.peak_at, running.readings), (10, None, 20, 3));
        assert_eq!(running.causes, cause(0.25));
        let closed = open.report(true, false);
        assert_eq!(closed, Event { ended: Some(30), ..running });
    }
}
