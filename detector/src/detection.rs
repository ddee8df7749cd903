//! The results of a detector: a [`Detection`] for each reading, or the reason why a reading was
//! [`Rejected`].

use crate::cause::Cause;
use crate::event::Event;

/// The detector's result for one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Number of the sensor's readings that its detector has applied, including this one: 1, 2, …
    /// without gaps. Unscored readings count too.
    pub seq: u64,
    /// Mean collusive displacement over the trees of the level view, from 0. It can be compared
    /// only within a sensor; use the grade across sensors. Without meaning if the reading is
    /// [unscored](Marks::unscored).
    pub score: f64,
    /// How unusual the reading is for this sensor, 0 to 1, with the same meaning on every sensor: a
    /// grade of g or more is expected about once in 10^(g / (1 − g)) readings: 0.5 once in ten,
    /// 0.75 once in a thousand, 0.8 once in ten thousand. `None` during the warm-up and
    /// for an unscored reading.
    pub grade: Option<f64>,
    /// How far the grade can be trusted, 0 to 1. It grows with the number of past readings, is
    /// about 1/2 at the first grade, and falls with every missing field.
    pub confidence: f64,
    /// How unusual the reading is, 0 to 1, if it is more unusual than each of the last hundred
    /// readings, else 0. It marks where something begins, and ranks such moments across many
    /// sensors. Its scale is not that of the grade; the grade shows how long something lasts.
    pub onset: f64,
    /// Whether the reading is part of an anomaly and not suppressed.
    pub anomaly: bool,
    /// Further facts about the reading.
    pub marks: Marks,
    /// Share and expectation of each field if the reading is part of an anomaly, suppressed or not;
    /// else empty.
    pub causes: Vec<Cause>,
    /// The event that the reading belongs to or that has just ended. `None` if there is no such
    /// event, or if it has not been announced.
    pub event: Option<Event>,
}

/// Facts about a reading beside its grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the facts are independent; each is a bit of a stored row's flags"
)]
pub struct Marks {
    /// The reading is part of an anomaly, but a rule of [`Suppression`](crate::Suppression)
    /// suppresses it.
    pub suppressed: bool,
    /// The reading lacks a field of the point. The field's value was imputed.
    pub imputed: bool,
    /// A field repeats its value for far longer than before.
    pub stuck: bool,
    /// The reading comes after a silence of many usual intervals.
    pub after_silence: bool,
    /// An anomaly is open, so the detector learns little of the reading.
    pub learning_slowed: bool,
    /// The reading has none of the fields that are scored. It has no score, and the detector does not
    /// learn it.
    pub unscored: bool,
}

/// The reason why a reading cannot be applied. A reading with an infinite value leaves the detector
/// unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The value of a field is infinite.
    #[error("field `{0}` is infinite")]
    NotFinite(String),
    /// The forest rejects the point.
    #[error("the forest rejects the reading: {0}")]
    Forest(String),
}
