//! Control entries: what changes state or output, besides readings.

use std::borrow::Cow;

use crate::ids::SensorName;
use crate::reading::Timestamp;

/// A change of state or output that is not a reading. It takes effect at its position in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The configuration of the sensors after the position: all rules, as JSON.
    Detectors(String),
    /// A person's label of an anomaly.
    Label {
        /// The sensor of the anomaly.
        sensor: SensorName,
        /// When the anomaly started.
        started: Timestamp,
        /// `true`, `false` or `maintenance`.
        label: String,
    },
}

impl Control {
    /// Its stored name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Detectors(_) => "detectors",
            Self::Label { .. } => "label",
        }
    }

    /// Its stored body. Of a label: the label, the start in µs and the sensor, separated by spaces.
    pub(super) fn body(&self) -> Cow<'_, str> {
        match self {
            Self::Detectors(json) => Cow::Borrowed(json),
            Self::Label { sensor, started, label } => {
                Cow::Owned(format!("{label} {} {}", started.0, sensor.as_str()))
            }
        }
    }

    /// Parses a stored name and body. Returns `None` if the name is unknown or the body is invalid.
    pub(super) fn parse(name: &str, body: &str) -> Option<Self> {
        match name {
            "detectors" => Some(Self::Detectors(body.to_owned())),
            "label" => {
                let mut parts = body.splitn(3, ' ');
                let (label, started, sensor) = (parts.next()?, parts.next()?, parts.next()?);
                let (started, sensor) = (Timestamp(started.parse().ok()?), SensorName::new(sensor).ok()?);
                Some(Self::Label { sensor, started, label: label.to_owned() })
            }
            _ => None,
        }
    }
}
