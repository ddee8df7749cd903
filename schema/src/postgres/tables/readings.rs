//! `readings`, and the tables that its rows refer to: `field_sets` and `configs`.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::flag::Flag;
use crate::reading::{Reading, Timestamp};

diesel::table! {
    readings (sensor, ts) {
        sensor -> BigInt,
        ts -> Timestamptz,
        seq -> Nullable<BigInt>,
        field_set -> BigInt,
        values -> Array<Double>,
        score -> Nullable<Double>,
        grade -> Nullable<Double>,
        flags -> Integer,
        era -> Integer,
        config -> Nullable<BigInt>,
        confidence -> Nullable<Float>,
        onset -> Nullable<Float>,
    }
}

diesel::table! {
    field_sets (id) {
        id -> BigInt,
        names -> Array<Text>,
    }
}

diesel::table! {
    configs (id) {
        id -> BigInt,
        settings -> Text,
    }
}

/// A row of `readings`.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = readings)]
pub struct ReadingRow {
    /// The sensor's [`SensorId`](crate::ids::SensorId).
    pub sensor: i64,
    /// When the reading was measured.
    pub ts: Timestamp,
    /// Its number among the sensor's scored readings, from 1; `None` if it was not scored.
    pub seq: Option<i64>,
    /// [`FieldSet::id`](crate::field_set::FieldSet::id) of the names of its values.
    pub field_set: i64,
    /// Its values, in the order of those names.
    pub values: Vec<f64>,
    /// Mean collusive displacement (`CoDisp`); `None` if it was not scored.
    pub score: Option<f64>,
    /// How unusual the reading is, 0 to 1; `None` while the detector warms up.
    pub grade: Option<f64>,
    /// Bits of [`Flag`](crate::Flag)s.
    pub flags: i32,
    /// How often the sensor's time had begun again before.
    pub era: i32,
    /// Fingerprint of the configuration that it was scored with: the bits of a `u64`.
    pub config: Option<i64>,
    /// How far the grade can be trusted, 0 to 1.
    pub confidence: Option<f32>,
    /// How unusual the reading is, 0 to 1, if it is more unusual than all readings shortly before
    /// it.
    pub onset: Option<f32>,
}

impl ReadingRow {
    /// Makes the row of a reading that is stored without a score. `flags` says why. Adds
    /// [`Flag::Stamped`] if the message had no time.
    pub fn unscored(reading: &Reading, flags: i32) -> Self {
        let stamped = if reading.stamped { Flag::Stamped.bit() } else { 0 };
        Self {
            sensor: reading.sensor.id().0,
            ts: reading.ts,
            seq: None,
            field_set: reading.fields.id(),
            values: reading.values.clone(),
            score: None,
            grade: None,
            flags: flags | stamped,
            era: 0,
            config: None,
            confidence: None,
            onset: None,
        }
    }
}
