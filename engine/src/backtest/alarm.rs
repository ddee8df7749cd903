//! An alarm: a stored anomaly, or an event of the new detector.

use serde::Serialize;
use thicket_detector::{Cause, Event, Label};
use thicket_schema::Timestamp;
use thicket_store::postgres::{Anomaly, by_share, serialize_causes};

use super::compare::Span;

/// An event of a sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Alarm {
    pub(super) started: Timestamp,
    /// Time of the last anomalous reading; `None` while the event lasts.
    pub(super) ended: Option<Timestamp>,
    pub(super) peak_at: Timestamp,
    pub(super) peak_grade: f64,
    pub(super) readings: i64,
    /// Number of these readings that the engine stored late, without a score.
    pub(super) late_readings: i64,
    /// The largest share first.
    #[serde(serialize_with = "serialize_causes")]
    pub(super) causes: Vec<Cause>,
    /// The label of a stored anomaly.
    pub(super) label: Option<Label>,
}

impl Alarm {
    /// Its span of time. The span of an event that lasts has no end.
    pub(super) fn span(&self) -> Span {
        let to = self.ended.map_or(i64::MAX, Timestamp::as_micros);
        Span { from: self.started.as_micros(), to }
    }

    /// Whether its label calls it real; `None` if it has no label.
    pub(super) fn is_real(&self) -> Option<bool> {
        self.label.map(|label| label == Label::True)
    }
}

impl Alarm {
    /// Creates the alarm of an event. `late_readings` of its readings are late.
    pub(super) fn of_event(event: &Event, late_readings: i64) -> Self {
        Self {
            late_readings,
            started: Timestamp(event.started),
            ended: event.ended.map(Timestamp),
            peak_at: Timestamp(event.peak_at),
            peak_grade: event.peak_grade,
            readings: i64::from(event.readings),
            causes: by_share(event.causes.clone()),
            label: None,
        }
    }
}

impl From<Anomaly> for Alarm {
    fn from(anomaly: Anomaly) -> Self {
        Self {
            started: anomaly.started,
            ended: anomaly.ended,
            peak_at: anomaly.peak_at,
            peak_grade: anomaly.peak_grade,
            readings: i64::from(anomaly.readings),
            late_readings: 0,
            causes: anomaly.causes,
            label: anomaly.label.map(|labelled| labelled.label),
        }
    }
}
