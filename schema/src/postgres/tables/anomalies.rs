//! `anomalies`: one row per event.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::reading::Timestamp;

diesel::table! {
    anomalies (sensor, started) {
        sensor -> BigInt,
        started -> Timestamptz,
        ended -> Nullable<Timestamptz>,
        peak_at -> Timestamptz,
        peak_score -> Double,
        peak_grade -> Double,
        readings -> Integer,
        fields -> Array<Text>,
        contributions -> Array<Double>,
        accepted -> Bool,
        actual -> Array<Double>,
        expected -> Array<Double>,
        low -> Array<Double>,
        high -> Array<Double>,
        counters -> Array<Bool>,
        repeated -> Array<BigInt>,
        away -> Array<BigInt>,
    }
}

/// A row of `anomalies`. The arrays have one element per field.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = anomalies)]
pub struct AnomalyRow {
    /// The sensor's [`SensorId`](crate::ids::SensorId).
    pub sensor: i64,
    /// Time of the first anomalous reading.
    pub started: Timestamp,
    /// Time of the last anomalous reading; `None` while the event lasts.
    pub ended: Option<Timestamp>,
    /// Time of the rarest reading.
    pub peak_at: Timestamp,
    /// Score of that reading.
    pub peak_score: f64,
    /// The highest grade.
    pub peak_grade: f64,
    /// Number of anomalous readings.
    pub readings: i32,
    /// Names of the fields.
    pub fields: Vec<String>,
    /// Each field's share of the score at the peak, 0 to 1.
    pub contributions: Vec<f64>,
    /// Whether the event ended because it has become the new normal.
    pub accepted: bool,
    /// Each field's value at the peak; NaN where the reading lacked it.
    pub actual: Vec<f64>,
    /// The median that was expected of each field.
    pub expected: Vec<f64>,
    /// The 5th percentile that was expected of each field.
    pub low: Vec<f64>,
    /// The 95th percentile that was expected of each field.
    pub high: Vec<f64>,
    /// Whether each field is a counter: its values are its growth per second.
    pub counters: Vec<bool>,
    /// How many readings in a row had each field's value, if the anomaly is that it repeats its value far
    /// longer than before; else 0.
    pub repeated: Vec<i64>,
    /// How many readings in a row were away from the value at which each field rests, if the anomaly is
    /// that there are far more of them than before; else 0. `expected` is that value.
    pub away: Vec<i64>,
}
