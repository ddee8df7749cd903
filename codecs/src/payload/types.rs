//! A decoded measurement, and the limits on a message.

use thicket_schema::{FieldSet, Timestamp};

/// Limits on a message. A payload beyond one of them is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Maximum length of a payload in bytes. Has no effect above the broker's own limit.
    pub max_bytes: usize,
    /// Maximum number of numeric members in one object.
    pub max_fields: usize,
    /// Maximum number of elements in an array.
    pub max_readings: usize,
    /// Maximum number of levels of an object, at most 64. Members below are left out.
    pub max_depth: usize,
}

impl PayloadLimits {
    /// Levels of an object that are read unless configured otherwise.
    pub const DEFAULT_MAX_DEPTH: usize = 8;
}

/// A reading without its sensor, and possibly without its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The name of a device within the message, if the format has one. The sensor is then
    /// `<sensor of the topic>/<device>`.
    pub device: Option<Box<str>>,
    /// Microseconds from the arrival to the time of the measurement, for a format that has relative
    /// times. Has no effect if `ts` is `Some`.
    pub offset_micros: i64,
    /// The time in the payload. If it is `None`, the caller stamps the measurement.
    pub ts: Option<Timestamp>,
    /// The names of the values.
    pub fields: FieldSet,
    /// One finite value per field, in the order of the fields.
    pub values: Vec<f64>,
    /// The texts of the members that the rules name as labels, in the order of the rules; `None`
    /// for a member that the message lacks. Empty if the rules name none, or for formats without
    /// members.
    pub labels: Vec<Option<Box<str>>>,
}
