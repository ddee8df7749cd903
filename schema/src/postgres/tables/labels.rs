//! `labels`: what people say about anomalies; `applied_labels`: what detectors have learnt of it.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::Timestamp;

diesel::table! {
    labels (sensor, started) {
        sensor -> BigInt,
        started -> Timestamptz,
        label -> Text,
        note -> Text,
        author -> Text,
        set_at -> Timestamptz,
        logged -> Bool,
    }
}

diesel::table! {
    applied_labels (sensor, seq, started) {
        sensor -> BigInt,
        seq -> BigInt,
        started -> Timestamptz,
        label -> Text,
    }
}

/// A row of `labels`.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = labels)]
pub struct LabelRow {
    /// The sensor's [`SensorId`](crate::SensorId).
    pub sensor: i64,
    /// When the anomaly started.
    pub started: Timestamp,
    /// `true`, `false` or `maintenance`.
    pub label: String,
    /// A remark of the author.
    pub note: String,
    /// Author of the label.
    pub author: String,
    /// When the label was set.
    pub set_at: Timestamp,
    /// Whether the label is in the log, from where the sensor's detector applies it.
    pub logged: bool,
}
