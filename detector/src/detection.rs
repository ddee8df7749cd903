//! What comes out of a detector: a [`Detection`] for each reading, or why a reading was [`Rejected`].

use crate::event::Event;

/// The detector's answer to one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The sensor's scored readings so far, this one included: 1, 2, … without gaps.
    pub seq: u64,
    /// Mean collusive displacement over the trees, from 0. Comparable within a sensor only, hence the grade.
    pub score: f64,
    /// How unusual the reading is for this sensor, 0 to 1, with the same meaning on every sensor: a grade of g or more is
    /// expected about once in 10^(g / (1 − g)) readings, so 0.5 once in ten, 0.75 once in a thousand, 0.8 once in ten
    /// thousand. `None` while the sensor warms up.
    pub grade: Option<f64>,
    /// Whether the reading is part of an anomaly.
    pub anomaly: bool,
    /// The event that this reading belongs to, or has just ended.
    pub event: Option<Event>,
}

/// A reading that cannot be scored. It has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The reading lacks a field of the point.
    #[error("field `{0}` is missing")]
    MissingField(String),
    /// The value of a field is NaN or infinite.
    #[error("field `{0}` is not a finite number")]
    NotFinite(String),
    /// A first reading with no field at all, or with more than a point may have.
    #[error("a reading must have 1 to 256 fields, not {0}")]
    FieldCount(usize),
    /// The forest does not take the point.
    #[error("the forest refuses the reading: {0}")]
    Forest(String),
}
