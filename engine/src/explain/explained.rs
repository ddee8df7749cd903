//! An explained reading, as it is printed and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use thicket_detector::Explanation;
use thicket_schema::Timestamp;

use super::replay::Replayed;
use super::stored::ScoreValues;

/// A reading, its detection as it is stored and as it was computed again, and how the detection
/// came about.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) sensor: String,
    pub(super) ts: Timestamp,
    pub(super) seq: u64,
    pub(super) values: BTreeMap<String, f64>,
    pub(super) stored: ScoreValues,
    pub(super) computed: ScoreValues,
    pub(super) flags: Vec<&'static str>,
    /// Whether the computed score and grade equal the stored ones, bit for bit.
    pub(super) reproduced: bool,
    pub(super) replayed: Replayed,
    pub(super) alarms_per_week: f64,
    pub(super) explanation: Explanation,
}
