//! Control entries: what changes state or output, besides readings.

use std::borrow::Cow;

use crate::ids::SensorName;
use crate::reading::Timestamp;

/// What the owner of a sensor's partition does with the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SensorAction {
    /// Its detector begins again, as if the next reading were the first.
    Reset,
    /// Everything that is stored of it is deleted.
    Forget,
    /// A checkpoint of its detector is saved that is never evicted: rows that it contains are about
    /// to be dropped.
    Save,
}

impl SensorAction {
    /// Returns its stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Forget => "forget",
            Self::Save => "save",
        }
    }

    /// Returns the action of a stored name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Reset, Self::Forget, Self::Save].into_iter().find(|action| action.name() == name)
    }
}

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
    /// A person's request about a sensor.
    Sensor {
        /// The sensor.
        sensor: SensorName,
        /// What to do.
        action: SensorAction,
        /// The id of the request. The log may have it twice; the second time it has no effect.
        request: i64,
    },
}

/// Why a stored name and body are not a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlError {
    /// This build does not know the name.
    Unknown,
    /// The body is invalid.
    Invalid,
}

impl Control {
    /// Its stored name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Detectors(_) => "detectors",
            Self::Label { .. } => "label",
            Self::Sensor { action, .. } => action.name(),
        }
    }

    /// Its stored body. Of a label: the label, the start in µs and the sensor, separated by spaces.
    /// Of a request: its id and the sensor.
    pub(super) fn body(&self) -> Cow<'_, str> {
        match self {
            Self::Detectors(json) => Cow::Borrowed(json),
            Self::Label { sensor, started, label } => {
                Cow::Owned(format!("{label} {} {}", started.0, sensor.as_str()))
            }
            Self::Sensor { sensor, request, .. } => Cow::Owned(format!("{request} {}", sensor.as_str())),
        }
    }

    /// Parses a stored name and body.
    pub(super) fn parse(name: &str, body: &str) -> Result<Self, ControlError> {
        let parsed = match name {
            "detectors" => Some(Self::Detectors(body.to_owned())),
            "label" => parse_label(body),
            _ => parse_request(SensorAction::from_name(name).ok_or(ControlError::Unknown)?, body),
        };
        parsed.ok_or(ControlError::Invalid)
    }
}

fn parse_label(body: &str) -> Option<Control> {
    let mut parts = body.splitn(3, ' ');
    let (label, started, sensor) = (parts.next()?, parts.next()?, parts.next()?);
    let (started, sensor) = (Timestamp(started.parse().ok()?), SensorName::new(sensor).ok()?);
    Some(Control::Label { sensor, started, label: label.to_owned() })
}

fn parse_request(action: SensorAction, body: &str) -> Option<Control> {
    let (request, sensor) = body.split_once(' ')?;
    let (request, sensor) = (request.parse().ok()?, SensorName::new(sensor).ok()?);
    Some(Control::Sensor { sensor, action, request })
}
