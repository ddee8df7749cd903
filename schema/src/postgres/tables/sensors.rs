//! `sensors`: every sensor that has rows.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::reading::Timestamp;

diesel::table! {
    sensors (id) {
        id -> BigInt,
        name -> Text,
        partition -> Integer,
        fields -> Array<Text>,
        first_seen -> Timestamptz,
        untracked -> BigInt,
        field_sets -> Array<BigInt>,
        first_name -> Nullable<Text>,
    }
}

/// A row of `sensors`.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = sensors)]
pub struct SensorRow {
    /// The sensor's [`SensorId`](crate::ids::SensorId).
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Number of its partition.
    pub partition: i32,
    /// The sorted union of all fields that it ever sent.
    pub fields: Vec<String>,
    /// Time of its first reading.
    pub first_seen: Timestamp,
    /// How often a reading had a field beyond the number of names that its detector keeps, rounded
    /// down to a power of two.
    pub untracked: i64,
    /// The ids of the field sets of its readings, ascending.
    pub field_sets: Vec<i64>,
    /// Its name in the log and in Redis, if it was renamed.
    pub first_name: Option<String>,
}

impl SensorRow {
    /// Returns its name in the log and in Redis. Its detector, too, is made for this name.
    pub fn first_name(&self) -> &str {
        self.first_name.as_deref().unwrap_or(&self.name)
    }
}

diesel::table! {
    sensor_fields (sensor, field) {
        sensor -> BigInt,
        field -> Text,
        standing -> Text,
        pattern -> Text,
        remark -> Text,
        repeats -> Text,
    }
}

/// A row of `sensor_fields`: whether a field of a sensor is scored.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, QueryableByName, diesel::Queryable, diesel::Selectable,
)]
#[diesel(table_name = sensor_fields)]
pub struct SensorFieldRow {
    /// The sensor's [`SensorId`](crate::ids::SensorId).
    pub sensor: i64,
    /// Name of the field.
    pub field: String,
    /// `scored`, or the reason why it is only stored: `excluded`, `not_listed`, `constant`, `rare`
    /// or `limit`.
    pub standing: String,
    /// The pattern that excludes the field, or an empty text.
    pub pattern: String,
    /// What is remarkable about a scored field: `stepwise`, `counts`, `repeats`, or an empty text.
    pub remark: String,
    /// The field that the field repeats, or an empty text.
    pub repeats: String,
}
