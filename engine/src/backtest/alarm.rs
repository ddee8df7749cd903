//! An alarm, be it stored or found now.

use chrono::{DateTime, Utc};
use serde::Serialize;
use thicket_detector::{Cause, Event, Label};
use thicket_schema::Timestamp;
use thicket_store::postgres::{Anomaly, by_share, serialize_causes};

use super::compare::Span;

/// An event of a sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Alarm {
    pub(super) started: DateTime<Utc>,
    /// Nothing while it lasts.
    pub(super) ended: Option<DateTime<Utc>>,
    pub(super) peak_at: DateTime<Utc>,
    pub(super) peak_grade: f64,
    pub(super) readings: i64,
    /// The greatest share first.
    #[serde(serialize_with = "serialize_causes")]
    pub(super) causes: Vec<Cause>,
    /// What people said of it, where it is stored.
    pub(super) label: Option<Label>,
}

impl Alarm {
    /// The time it takes up. One that lasts has no end.
    pub(super) fn span(&self) -> Span {
        let to = self.ended.map_or(i64::MAX, |ended| ended.timestamp_micros());
        Span { from: self.started.timestamp_micros(), to }
    }

    /// Whether people called it real, as far as they said anything.
    pub(super) fn is_real(&self) -> Option<bool> {
        self.label.map(|label| label == Label::True)
    }
}

impl From<&Event> for Alarm {
    fn from(event: &Event) -> Self {
        let time = |micros| Timestamp(micros).to_datetime();
        Self {
            started: time(event.started),
            ended: event.ended.map(time),
            peak_at: time(event.peak_at),
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
            started: anomaly.started.to_datetime(),
            ended: anomaly.ended.map(Timestamp::to_datetime),
            peak_at: anomaly.peak_at.to_datetime(),
            peak_grade: anomaly.peak_grade,
            readings: i64::from(anomaly.readings),
            causes: anomaly.causes,
            label: anomaly.label.map(|set| set.label),
        }
    }
}
