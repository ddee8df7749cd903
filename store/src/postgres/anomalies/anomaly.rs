//! An anomaly with its sensor's name and its label, as commands and the HTTP API show it.

use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text, Timestamptz};
use serde::{Serialize, Serializer};
use thicket_detector::{Cause, Direction, Label};
use thicket_schema::Timestamp;
use thicket_schema::postgres::AnomalyRow;

/// An anomaly with its sensor's name and its label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// Name of the sensor.
    pub sensor: String,
    /// Time of the first anomalous reading.
    pub started: Timestamp,
    /// Time of the last anomalous reading; `None` while the event lasts.
    pub ended: Option<Timestamp>,
    /// Whether the event ended because it has become the new normal.
    pub accepted: bool,
    /// Time of the rarest reading.
    pub peak_at: Timestamp,
    /// Score of that reading.
    pub peak_score: f64,
    /// The highest grade.
    pub peak_grade: f64,
    /// Number of anomalous readings.
    pub readings: i32,
    /// Each field's part in the anomaly, the greatest share first.
    #[serde(serialize_with = "serialize_causes")]
    pub causes: Vec<Cause>,
    /// Its label, if it has one.
    pub label: Option<AnomalyLabel>,
}

/// The label of an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnomalyLabel {
    /// The label.
    pub label: Label,
    /// A remark of the author.
    pub note: String,
    /// Author of the label.
    pub author: String,
    /// When the label was set.
    pub set_at: Timestamp,
}

/// A row of `anomalies`, joined with `sensors` and `labels`.
#[derive(QueryableByName)]
pub(in crate::postgres) struct JoinedRow {
    #[diesel(embed)]
    anomaly: AnomalyRow,
    #[diesel(sql_type = Text)]
    sensor_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    label: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    note: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    author: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    set_at: Option<Timestamp>,
}

impl From<JoinedRow> for Anomaly {
    fn from(joined: JoinedRow) -> Self {
        let JoinedRow { anomaly: row, sensor_name, label, note, author, set_at } = joined;
        let causes = by_share(causes_of(&row));
        let label = label.as_deref().and_then(Label::from_name).zip(set_at);
        let (note, author) = (note.unwrap_or_default(), author.unwrap_or_default());
        Self {
            sensor: sensor_name,
            started: row.started,
            ended: row.ended,
            accepted: row.accepted,
            peak_at: row.peak_at,
            peak_score: row.peak_score,
            peak_grade: row.peak_grade,
            readings: row.readings,
            causes,
            label: label.map(|(label, set_at)| AnomalyLabel { label, note, author, set_at }),
        }
    }
}

/// Transposes the arrays of a row. A value that an array lacks is NaN.
fn causes_of(row: &AnomalyRow) -> Vec<Cause> {
    let count = |counts: &[i64], index: usize| {
        counts.get(index).and_then(|&count| count.try_into().ok()).unwrap_or(0)
    };
    let value = |values: &[f64], index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let cause = |(index, field): (usize, &String)| {
        let (actual, low, high) =
            (value(&row.actual, index), value(&row.low, index), value(&row.high, index));
        Cause {
            field: field.clone(),
            share: value(&row.contributions, index),
            actual,
            expected: value(&row.expected, index),
            low,
            high,
            direction: Direction::of(actual, low, high),
            is_counter: row.counters.get(index).copied().unwrap_or(false),
            repeated: count(&row.repeated, index),
            away: count(&row.away, index),
        }
    };
    row.fields.iter().enumerate().map(cause).collect()
}

/// Sorts causes, the greatest share first, equal shares by field.
pub fn by_share(mut causes: Vec<Cause>) -> Vec<Cause> {
    causes.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.field.cmp(&b.field)));
    causes
}

/// Serializes causes as commands and the HTTP API show them: without the direction, which follows
/// from `actual`, `low` and `high`.
pub fn serialize_causes<S: Serializer>(causes: &[Cause], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct ShownCause<'a> {
        field: &'a str,
        share: f64,
        actual: f64,
        expected: f64,
        low: f64,
        high: f64,
        counter: bool,
        repeated: u32,
        away: u32,
    }
    serializer.collect_seq(causes.iter().map(|cause| ShownCause {
        field: &cause.field,
        share: cause.share,
        actual: cause.actual,
        expected: cause.expected,
        low: cause.low,
        high: cause.high,
        counter: cause.is_counter,
        repeated: cause.repeated,
        away: cause.away,
    }))
}

#[cfg(test)]
mod tests;
