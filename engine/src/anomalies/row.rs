//! A row of anomalies and labels, as PostgreSQL gives it.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Bool, Double, Integer, Nullable, Text, Timestamptz};

use super::table::{Anomaly, Labelled};
use crate::words::{Why, by_share};

/// An anomaly with its label, if it has one.
#[derive(QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = Text)]
    sensor: String,
    #[diesel(sql_type = Timestamptz)]
    started: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    accepted: bool,
    #[diesel(sql_type = Timestamptz)]
    peak_at: DateTime<Utc>,
    #[diesel(sql_type = Double)]
    peak_score: f64,
    #[diesel(sql_type = Double)]
    peak_grade: f64,
    #[diesel(sql_type = Integer)]
    readings: i32,
    #[diesel(sql_type = Array<Text>)]
    fields: Vec<String>,
    #[diesel(sql_type = Array<Double>)]
    contributions: Vec<f64>,
    #[diesel(sql_type = Array<Double>)]
    actual: Vec<f64>,
    #[diesel(sql_type = Array<Double>)]
    expected: Vec<f64>,
    #[diesel(sql_type = Array<Double>)]
    low: Vec<f64>,
    #[diesel(sql_type = Array<Double>)]
    high: Vec<f64>,
    #[diesel(sql_type = Nullable<Text>)]
    label: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    note: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    author: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    set_at: Option<DateTime<Utc>>,
}

impl From<Row> for Anomaly {
    fn from(row: Row) -> Self {
        // Rows from before the second migration have no expectations.
        let at = |values: &[f64], index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let why = |(index, field): (usize, &String)| Why {
            field: field.clone(),
            share: at(&row.contributions, index),
            actual: at(&row.actual, index),
            expected: at(&row.expected, index),
            low: at(&row.low, index),
            high: at(&row.high, index),
        };
        let causes = by_share(row.fields.iter().enumerate().map(why).collect());
        let label = row.label.as_deref().and_then(super::label_named).zip(row.set_at);
        let (note, author) = (row.note.unwrap_or_default(), row.author.unwrap_or_default());
        Self {
            sensor: row.sensor,
            started: row.started,
            ended: row.ended,
            accepted: row.accepted,
            peak_at: row.peak_at,
            peak_score: row.peak_score,
            peak_grade: row.peak_grade,
            readings: row.readings,
            causes,
            label: label.map(|(label, set_at)| Labelled { label, note, author, set_at }),
        }
    }
}
