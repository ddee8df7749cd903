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
}
