//! Events: consecutive anomalous readings form one event, with a start, an end, a peak and the
//! causes of the peak.

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// An anomaly, as one row of the table of anomalies stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Timestamp of the first anomalous reading, in microseconds since 1970.
    pub started: i64,
    /// Timestamp of the last anomalous reading, in microseconds since 1970. `None` while the event
    /// is open.
    pub ended: Option<i64>,
    /// Whether the event ended because it lasted so long that it is accepted as the new normal.
    pub accepted: bool,
    /// Timestamp of the reading that is rarest by itself, in microseconds since 1970. The highest
    /// grade may belong to a later reading, because the grade also remembers recent readings.
    pub peak_at: i64,
    /// Score of the reading at `peak_at`.
    pub peak_score: f64,
    /// Highest grade of all its readings.
    pub peak_grade: f64,
    /// Number of anomalous readings so far.
    pub readings: u32,
    /// Whether this detection announces the event for the first time.
    pub is_new: bool,
    /// Share and expectation of each field at the peak, in the detector's order of fields.
    pub causes: Vec<Cause>,
}

/// One anomalous reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flagged<'a> {
    /// Timestamp, in microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) score: f64,
    pub(crate) grade: f64,
    /// Rarity of the reading by itself.
    pub(crate) instantaneous: f64,
    pub(crate) causes: &'a [Cause],
}

/// The event that has not ended.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct OpenEvent {
    pub(crate) started: i64,
    last: i64,
    peak_at: i64,
    peak_score: f64,
    peak_grade: f64,
    peak_instantaneous: f64,
    readings: u32,
    causes: Vec<Cause>,
}

impl OpenEvent {
    /// Opens an event with its first reading.
    pub(crate) fn begin(reading: Flagged) -> Self {
        Self {
            started: reading.at,
            last: reading.at,
            peak_at: reading.at,
            peak_score: reading.score,
            peak_grade: reading.grade,
            peak_instantaneous: reading.instantaneous,
            readings: 1,
            causes: reading.causes.to_vec(),
        }
    }

    /// Returns the number of anomalous readings.
    pub(crate) fn readings(&self) -> u32 {
        self.readings
    }

    /// Adds the next anomalous reading. If two readings are equally rare, the earlier one stays the
    /// peak.
    pub(crate) fn extend(&mut self, reading: Flagged) {
        self.last = reading.at;
        self.readings = self.readings.saturating_add(1);
        self.peak_grade = self.peak_grade.max(reading.grade);
        if reading.instantaneous > self.peak_instantaneous {
            self.peak_at = reading.at;
            self.peak_score = reading.score;
            self.peak_instantaneous = reading.instantaneous;
            self.causes = reading.causes.to_vec();
        }
    }

    /// Returns the event in its present state.
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
        let cause = Cause {
            field,
            share,
            actual: 3.0,
            expected: 1.0,
            low: 0.0,
            high: 2.0,
            direction,
            is_counter: false,
            repeated: 0,
            away: 0,
        };
        vec![cause]
    }

    fn flagged(at: i64, grade: f64, causes: &[Cause]) -> Flagged<'_> {
        Flagged { at, score: grade * 10.0, grade, instantaneous: 5.0 * grade, causes }
    }

    #[test]
    fn an_event_spans_its_readings_and_keeps_its_peak() {
        let mut open = OpenEvent::begin(flagged(10, 0.8, &cause(1.0)));
        open.extend(flagged(20, 0.9, &cause(0.25)));
        open.extend(flagged(30, 0.9, &cause(0.5)));
        let running = open.report(false, false);
        assert_eq!((running.started, running.ended, running.peak_at, running.readings), (10, None, 20, 3));
        assert_eq!(running.causes, cause(0.25));
        let closed = open.report(true, false);
        assert_eq!(closed, Event { ended: Some(30), ..running });
    }
}
