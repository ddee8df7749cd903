//! What comes out of a detector: a [`Detection`] for each reading, or why a reading was [`Rejected`].

use crate::cause::Cause;
use crate::event::Event;

/// The detector's answer to one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The sensor's scored readings so far, this one included: 1, 2, … without gaps.
    pub seq: u64,
    /// Mean collusive displacement over the trees that look at the level, from 0. Comparable within a sensor only, hence the grade.
    pub score: f64,
    /// How unusual the reading is for this sensor, 0 to 1, with the same meaning on every sensor: a grade of g or more is
    /// expected about once in 10^(g / (1 − g)) readings, so 0.5 once in ten, 0.75 once in a thousand, 0.8 once in ten
    /// thousand. `None` while the sensor warms up.
    pub grade: Option<f64>,
    /// How far the grade can be trusted, 0 to 1: it grows with what the sensor's past holds, to 1/2 when the verdicts begin, and falls with
    /// every field that is missing.
    pub confidence: f64,
    /// How unusual the reading is, 0 to 1, if it is more so than every one of the last hundred, else 0: where something begins. Made for
    /// ranking the moments of many sensors, on a scale of its own; the grade says how long it lasts.
    pub onset: f64,
    /// Whether the reading is part of an anomaly that is to be heard of.
    pub anomaly: bool,
    /// What else is to be known of the reading.
    pub marks: Marks,
    /// Why, where the reading is part of an anomaly: each field's part in it and what was expected instead.
    pub causes: Vec<Cause>,
    /// The event that this reading belongs to, or has just ended, if it is to be heard of.
    pub event: Option<Event>,
}

/// What is to be known of a reading beside its grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and a bit of a row's flags")]
pub struct Marks {
    /// It is part of an anomaly that a rule of [`Suppression`](crate::Suppression) holds back.
    pub suppressed: bool,
    /// It lacks a field of the point, which was filled in by what is usual.
    pub imputed: bool,
    /// A field repeats itself for far longer than it ever did.
    pub stuck: bool,
    /// It comes after a silence of many times the usual interval.
    pub after_silence: bool,
    /// An anomaly lasts, and the detector learns but little of it.
    pub learning_slowed: bool,
}

/// A reading that cannot be scored. It has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The reading has none of the fields that make the point.
    #[error("the reading has none of the sensor's fields: {0}")]
    NoField(String),
    /// The value of a field is infinite.
    #[error("field `{0}` is infinite")]
    NotFinite(String),
    /// A first reading with no field at all, or with more than a point may have.
    #[error("a reading must have 1 to 256 fields, not {0}")]
    FieldCount(usize),
    /// The forest does not take the point.
    #[error("the forest refuses the reading: {0}")]
    Forest(String),
}
