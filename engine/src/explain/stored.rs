//! The reading that is asked for, and what was said of it then.

use anyhow::bail;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Double, Float, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::SensorRow;
use thicket_schema::{Timestamp, flags};

use crate::time_arg;

/// A scored reading as it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredDetection {
    pub(super) ts: DateTime<Utc>,
    pub(super) seq: u64,
    pub(super) names: Vec<String>,
    pub(super) values: Vec<f64>,
    pub(super) score: f64,
    pub(super) grade: Option<f64>,
    pub(super) confidence: f64,
    pub(super) onset: f64,
    /// Identity of the configuration.
    pub(super) config: u64,
    flags: i32,
}

const FLAG_NAMES: [(i32, &str); 8] = [
    (flags::ANOMALY, "anomaly"),
    (flags::WARMING_UP, "warming up"),
    (flags::SUPPRESSED, "suppressed"),
    (flags::IMPUTED, "a field was missing"),
    (flags::STUCK, "stuck"),
    (flags::AFTER_SILENCE, "after a silence"),
    (flags::LEARNING_SLOWED, "learning slowed"),
    (flags::STAMPED, "time given by the engine"),
];

impl StoredDetection {
    /// Its flags in words.
    pub(super) fn flag_names(&self) -> Vec<&'static str> {
        FLAG_NAMES.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, name)| *name).collect()
    }
}

/// The newest scored reading of a sensor at or before a time.
pub(super) async fn newest(
    postgres: &mut AsyncPgConnection,
    sensor: &SensorRow,
    at: Timestamp,
) -> anyhow::Result<StoredDetection> {
    let rows: Vec<Row> = sql_query(
        r#"SELECT r.ts, r.seq, fs.names, r."values", r.score, r.grade, r.confidence, r.onset, r.config, r.flags
           FROM readings r JOIN field_sets fs ON fs.id = r.field_set
           WHERE r.sensor = $1 AND r.ts <= $2 AND r.seq IS NOT NULL ORDER BY r.ts DESC LIMIT 1"#,
    )
    .bind::<BigInt, _>(sensor.id)
    .bind::<Timestamptz, _>(at.to_datetime())
    .load(postgres)
    .await?;
    let Some(row) = rows.into_iter().next() else {
        let first: First =
            sql_query("SELECT min(ts) AS first FROM readings WHERE sensor = $1 AND seq IS NOT NULL")
                .bind::<BigInt, _>(sensor.id)
                .get_result(postgres)
                .await?;
        let first = first.first.map_or_else(
            || "it has none at all".to_owned(),
            |first| format!("its first is at {}", time_arg::show(first)),
        );
        bail!(
            "{} has no scored reading at or before {}; {first}",
            sensor.name,
            time_arg::show(at.to_datetime())
        );
    };
    Ok(StoredDetection {
        ts: row.ts,
        seq: row.seq.cast_unsigned(),
        names: row.names,
        values: row.values,
        score: row.score,
        grade: row.grade,
        confidence: f64::from(row.confidence.unwrap_or(f32::NAN)),
        onset: f64::from(row.onset.unwrap_or(f32::NAN)),
        config: row.config.cast_unsigned(),
        flags: row.flags,
    })
}

#[derive(QueryableByName)]
struct First {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Timestamptz)]
    ts: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Array<Text>)]
    names: Vec<String>,
    #[diesel(sql_type = Array<Double>)]
    values: Vec<f64>,
    #[diesel(sql_type = Double)]
    score: f64,
    #[diesel(sql_type = Nullable<Double>)]
    grade: Option<f64>,
    #[diesel(sql_type = Nullable<Float>)]
    confidence: Option<f32>,
    #[diesel(sql_type = Nullable<Float>)]
    onset: Option<f32>,
    #[diesel(sql_type = BigInt)]
    config: i64,
    #[diesel(sql_type = Integer)]
    flags: i32,
}
