//! Anomalies and what people say of them, as the tables have it. The commands and the HTTP API both ask here.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::Serialize;
use thicket_detector::Label;
use thicket_schema::Timestamp;

use super::row::Row;
use crate::sensors::{self, SensorError, like};
use crate::when;
use crate::words::Why;

/// Anomalies that are named where there is none at the time that was asked for.
const NEAREST: i64 = 3;

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Anomaly {
    pub(crate) sensor: String,
    pub(crate) started: DateTime<Utc>,
    /// Nothing while it lasts.
    pub(crate) ended: Option<DateTime<Utc>>,
    /// Whether it ended because it had become the new normal.
    pub(crate) accepted: bool,
    pub(crate) peak_at: DateTime<Utc>,
    pub(crate) peak_score: f64,
    pub(crate) peak_grade: f64,
    pub(crate) readings: i32,
    /// The greatest share first.
    pub(crate) causes: Vec<Why>,
    pub(crate) label: Option<Labelled>,
}

/// What somebody said of an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Labelled {
    /// Whether it is one.
    pub(crate) label: Label,
    pub(crate) note: String,
    pub(crate) author: String,
    pub(crate) set_at: DateTime<Utc>,
}

/// Which anomalies to list.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// A pattern of sensors.
    pub(crate) sensors: Option<String>,
    /// Began then or later.
    pub(crate) since: Option<Timestamp>,
    /// Only those of which nobody has said anything.
    pub(crate) unlabelled: bool,
    /// At most so many.
    pub(crate) limit: i64,
}

/// Why an anomaly cannot be labelled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelError {
    /// There is no such sensor.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// None of the sensor's anomalies began then.
    #[error("no anomaly of {sensor} began at {started}{}", nearest_words(.nearest))]
    NoAnomaly {
        /// Whose anomaly.
        sensor: String,
        /// What was asked for.
        started: String,
        /// Those that there are, the nearest first.
        nearest: Vec<String>,
    },
    /// The statement failed.
    #[error("postgresql: {0}")]
    Database(#[from] diesel::result::Error),
}

/// What to say of an anomaly.
#[derive(Clone, Debug)]
pub(crate) struct NewLabel<'a> {
    pub(crate) label: Label,
    pub(crate) note: &'a str,
    pub(crate) author: &'a str,
}

const SELECT: &str = "
SELECT s.name AS sensor, a.started, a.ended, a.accepted, a.peak_at, a.peak_score, a.peak_grade, a.readings, a.fields,
       a.contributions, a.actual, a.expected, a.low, a.high, l.label, l.note, l.author, l.set_at
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started";

/// Lists anomalies, the newest first.
pub(crate) async fn list(
    postgres: &mut AsyncPgConnection,
    filter: &Filter,
) -> Result<Vec<Anomaly>, diesel::result::Error> {
    let rows: Vec<Row> = sql_query(format!(
        "{SELECT}
         WHERE ($1 IS NULL OR s.name LIKE $1) AND ($2 IS NULL OR a.started >= $2) AND NOT ($3 AND l.label IS NOT NULL)
         ORDER BY a.started DESC, s.name LIMIT $4"
    ))
    .bind::<Nullable<Text>, _>(filter.sensors.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since.map(Timestamp::to_datetime))
    .bind::<Bool, _>(filter.unlabelled)
    .bind::<BigInt, _>(filter.limit)
    .load(postgres)
    .await?;
    Ok(rows.into_iter().map(Anomaly::from).collect())
}

/// The anomalies of a sensor that touch a span of time, the oldest first.
pub(crate) async fn of_sensor(
    postgres: &mut AsyncPgConnection,
    sensor: i64,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Anomaly>, diesel::result::Error> {
    let rows: Vec<Row> = sql_query(format!(
        "{SELECT}
         WHERE a.sensor = $1 AND a.started <= $3 AND coalesce(a.ended, 'infinity') >= $2 ORDER BY a.started"
    ))
    .bind::<BigInt, _>(sensor)
    .bind::<Timestamptz, _>(from.to_datetime())
    .bind::<Timestamptz, _>(to.to_datetime())
    .load(postgres)
    .await?;
    Ok(rows.into_iter().map(Anomaly::from).collect())
}

/// Says something of an anomaly, or with `None` takes back what was said; the anomaly as it is then.
pub(crate) async fn label(
    postgres: &mut AsyncPgConnection,
    sensor: &str,
    started: Timestamp,
    label: Option<NewLabel<'_>>,
) -> Result<Anomaly, LabelError> {
    let id = sensors::find(postgres, sensor).await?.id;
    let at = started.to_datetime();
    match label {
        Some(NewLabel { label, note, author }) => {
            sql_query(
                "INSERT INTO labels (sensor, started, label, note, author)
                 SELECT sensor, started, $3, $4, $5 FROM anomalies WHERE sensor = $1 AND started = $2
                 ON CONFLICT (sensor, started) DO UPDATE
                 SET label = excluded.label, note = excluded.note, author = excluded.author, set_at = excluded.set_at,
                     announced = false",
            )
            .bind::<BigInt, _>(id)
            .bind::<Timestamptz, _>(at)
            .bind::<Text, _>(super::name_of(label))
            .bind::<Text, _>(note)
            .bind::<Text, _>(author)
            .execute(postgres)
            .await?;
        }
        None => {
            sql_query("DELETE FROM labels WHERE sensor = $1 AND started = $2")
                .bind::<BigInt, _>(id)
                .bind::<Timestamptz, _>(at)
                .execute(postgres)
                .await?;
        }
    }
    let rows: Vec<Row> = sql_query(format!("{SELECT} WHERE a.sensor = $1 AND a.started = $2"))
        .bind::<BigInt, _>(id)
        .bind::<Timestamptz, _>(at)
        .load(postgres)
        .await?;
    match rows.into_iter().next() {
        Some(row) => Ok(row.into()),
        None => Err(LabelError::NoAnomaly {
            sensor: sensor.to_owned(),
            started: when::show(at),
            nearest: nearest(postgres, id, at).await?,
        }),
    }
}

async fn nearest(
    postgres: &mut AsyncPgConnection,
    sensor: i64,
    at: DateTime<Utc>,
) -> Result<Vec<String>, diesel::result::Error> {
    let rows: Vec<Started> = sql_query(
        "SELECT started FROM anomalies WHERE sensor = $1 ORDER BY abs(extract(epoch FROM started - $2)) LIMIT $3",
    )
    .bind::<BigInt, _>(sensor)
    .bind::<Timestamptz, _>(at)
    .bind::<BigInt, _>(NEAREST)
    .load(postgres)
    .await?;
    Ok(rows.into_iter().map(|row| when::show(row.started)).collect())
}

fn nearest_words(nearest: &[String]) -> String {
    match nearest {
        [] => "; it has none".to_owned(),
        nearest => format!("; the nearest began at {}", nearest.join(", ")),
    }
}

#[derive(QueryableByName)]
struct Started {
    #[diesel(sql_type = Timestamptz)]
    started: DateTime<Utc>,
}
