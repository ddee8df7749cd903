//! Consecutive anomalous readings are one event, with a start, an end, a peak and the fields that made the peak.

/// An anomaly: what stands, or will stand, in one row of the table of anomalies.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Timestamp of the first anomalous reading, in microseconds since 1970.
    pub started: i64,
    /// Timestamp of the last anomalous reading, once a reading without anomaly has closed the event.
    pub ended: Option<i64>,
    /// Timestamp of the reading with the highest grade.
    pub peak_at: i64,
    /// Score of that reading.
    pub peak_score: f64,
    /// Grade of that reading.
    pub peak_grade: f64,
    /// Anomalous readings so far.
    pub readings: u32,
    /// Each field's part in the anomaly at the peak, in the detector's order of fields; the parts sum to 1.
    pub contributions: Vec<(String, f64)>,
}

/// One anomalous reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flagged<'a> {
    pub(crate) at: i64,
    pub(crate) score: f64,
    pub(crate) grade: f64,
    pub(crate) contributions: &'a [f64],
}

/// The event that is going on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) started: i64,
    pub(crate) last: i64,
    pub(crate) peak_at: i64,
    pub(crate) peak_score: f64,
    pub(crate) peak_grade: f64,
    pub(crate) readings: u32,
    pub(crate) contributions: Vec<f64>,
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
            readings: 1,
            contributions: reading.contributions.to_vec(),
        }
    }

    /// Adds the next anomalous reading. Of two readings alike the earlier stays the peak.
    pub(crate) fn extend(&mut self, reading: Flagged) {
        self.last = reading.at;
        self.readings = self.readings.saturating_add(1);
        if (reading.grade, reading.score) > (self.peak_grade, self.peak_score) {
            self.peak_at = reading.at;
            self.peak_score = reading.score;
            self.peak_grade = reading.grade;
            self.contributions.copy_from_slice(reading.contributions);
        }
    }

    /// The event as it stands.
    pub(crate) fn report(&self, fields: &[String], closed: bool) -> Event {
        Event {
            started: self.started,
            ended: closed.then_some(self.last),
            peak_at: self.peak_at,
            peak_score: self.peak_score,
            peak_grade: self.peak_grade,
            readings: self.readings,
            contributions: fields.iter().cloned().zip(self.contributions.iter().copied()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(at: i64, grade: f64, contributions: &[f64]) -> Flagged<'_> {
        Flagged { at, score: grade * 10.0, grade, contributions }
    }

    #[test]
    fn an_event_spans_its_readings_and_keeps_its_peak() {
        let fields = ["a".to_owned(), "b".to_owned()];
        let mut open = Open::begin(flagged(10, 0.8, &[1.0, 0.0]));
        open.extend(flagged(20, 0.9, &[0.25, 0.75]));
        open.extend(flagged(30, 0.9, &[0.5, 0.5]));
        let running = open.report(&fields, false);
        assert_eq!((running.started, running.ended, running.peak_at, running.readings), (10, None, 20, 3));
        assert_eq!(running.contributions, [("a".to_owned(), 0.25), ("b".to_owned(), 0.75)]);
        let closed = open.report(&fields, true);
        assert_eq!(closed, Event { ended: Some(30), ..running });
    }
}
