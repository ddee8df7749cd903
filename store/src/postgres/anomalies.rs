//! `anomalies`: one row per event.

mod anomaly;

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{Cause, Event};
use thicket_schema::postgres::{AnomalyRow, anomalies};
use thicket_schema::{Flag, SensorId, Timestamp};

pub(super) use self::anomaly::JoinedRow;
use super::pattern::like;
use super::server_time::{HOUR, server_time};

pub use self::anomaly::{Anomaly, AnomalyLabel, by_share, serialize_causes};

/// Which anomalies to list.
#[derive(Clone, Debug)]
pub struct AnomalyFilter {
    /// Pattern of the sensors' names: `*` any text, `?` any character. `None`: every sensor.
    pub sensors: Option<String>,
    /// Only anomalies that started then or later.
    pub since: Option<Timestamp>,
    /// Only anomalies without a label.
    pub unlabelled: bool,
    /// Maximum number of anomalies.
    pub limit: i64,
}

/// Returns the row of an event in its present state.
pub fn anomaly_row(sensor: SensorId, event: &Event) -> AnomalyRow {
    let column = |value: fn(&Cause) -> f64| event.causes.iter().map(value).collect::<Vec<f64>>();
    AnomalyRow {
        sensor: sensor.0,
        started: Timestamp(event.started),
        ended: event.ended.map(Timestamp),
        peak_at: Timestamp(event.peak_at),
        peak_score: event.peak_score,
        peak_grade: event.peak_grade,
        readings: event.readings.cast_signed(),
        fields: event.causes.iter().map(|cause| cause.field.clone()).collect(),
        contributions: column(|cause| cause.share),
        accepted: event.accepted,
        actual: column(|cause| cause.actual),
        expected: column(|cause| cause.expected),
        low: column(|cause| cause.low),
        high: column(|cause| cause.high),
        counters: event.causes.iter().map(|cause| cause.is_counter).collect(),
        repeated: event.causes.iter().map(|cause| i64::from(cause.repeated)).collect(),
        away: event.causes.iter().map(|cause| i64::from(cause.away)).collect(),
    }
}

/// Writes the last state of each event, with one statement per event: there are few events.
pub(super) async fn upsert_anomalies(
    connection: &mut AsyncPgConnection,
    anomalies: &[AnomalyRow],
) -> QueryResult<()> {
    for row in anomalies {
        sql_query(
            "INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions,
                                    accepted, actual, expected, low, high, counters, repeated, away)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
             ON CONFLICT (sensor, started) DO UPDATE
             SET ended = excluded.ended, peak_at = excluded.peak_at, peak_score = excluded.peak_score,
                 peak_grade = excluded.peak_grade, readings = excluded.readings, fields = excluded.fields,
                 contributions = excluded.contributions, accepted = excluded.accepted, actual = excluded.actual,
                 expected = excluded.expected, low = excluded.low, high = excluded.high,
                 counters = excluded.counters, repeated = excluded.repeated, away = excluded.away",
        )
        .bind::<BigInt, _>(row.sensor)
        .bind::<Timestamptz, _>(row.started)
        .bind::<Nullable<Timestamptz>, _>(row.ended)
        .bind::<Timestamptz, _>(row.peak_at)
        .bind::<Double, _>(row.peak_score)
        .bind::<Double, _>(row.peak_grade)
        .bind::<Integer, _>(row.readings)
        .bind::<Array<Text>, _>(&row.fields)
        .bind::<Array<Double>, _>(&row.contributions)
        .bind::<Bool, _>(row.accepted)
        .bind::<Array<Double>, _>(&row.actual)
        .bind::<Array<Double>, _>(&row.expected)
        .bind::<Array<Double>, _>(&row.low)
        .bind::<Array<Double>, _>(&row.high)
        .bind::<Array<Bool>, _>(&row.counters)
        .bind::<Array<BigInt>, _>(&row.repeated)
        .bind::<Array<BigInt>, _>(&row.away)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Ends the events that lasted when a sensor's detector got another shape: each at its last
/// anomalous reading up to then. The detector that watched them is gone. Idempotent.
pub(super) async fn close_open_anomalies(
    connection: &mut AsyncPgConnection,
    reshaped: &BTreeMap<SensorId, Timestamp>,
) -> QueryResult<()> {
    for (sensor, &changed) in reshaped {
        sql_query(format!(
            "UPDATE anomalies a SET ended = coalesce(
                 (SELECT max(r.ts) FROM readings r
                  WHERE r.sensor = a.sensor AND r.ts BETWEEN a.started AND $2 AND (r.flags & {anomaly}) <> 0), a.peak_at)
             WHERE a.sensor = $1 AND a.ended IS NULL AND a.started <= $2",
            anomaly = Flag::Anomaly.bit(),
        ))
        .bind::<BigInt, _>(sensor.0)
        .bind::<Timestamptz, _>(changed)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Returns the number of rows of `anomalies`.
pub async fn count_anomalies(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    anomalies::table.count().get_result(connection).await
}

/// Returns the number of anomalies that go on, of sensors with a reading of the last day. The anomaly
/// of a sensor that fell silent stays open, and would otherwise always count. Reads the index of the days
/// of this time only.
pub async fn count_open_anomalies(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Open {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    // With the time as a value, the query is planned over its days only, not over all days.
    let yesterday = Timestamp(server_time(connection).await?.0 - 24 * HOUR);
    let Open { count } = sql_query(
        "SELECT count(*) AS count
         FROM anomalies a
         JOIN sensors s ON s.id = a.sensor
         WHERE a.ended IS NULL AND (s.last_day IS NULL OR s.last_day >= ($1 AT TIME ZONE 'UTC')::date)
           AND EXISTS (SELECT FROM readings r WHERE r.sensor = a.sensor AND r.ts > $1)",
    )
    .bind::<Timestamptz, _>(yesterday)
    .get_result(connection)
    .await?;
    Ok(count)
}

const SELECT: &str = "
SELECT a.*, s.name AS sensor_name, l.label, l.note, l.author, l.set_at
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started";

/// Returns the anomalies that match a filter, the newest first.
pub async fn list_anomalies(
    connection: &mut AsyncPgConnection,
    filter: &AnomalyFilter,
) -> QueryResult<Vec<Anomaly>> {
    let rows: Vec<JoinedRow> = sql_query(format!(
        "{SELECT}
         WHERE ($1 IS NULL OR s.name LIKE $1) AND ($2 IS NULL OR a.started >= $2) AND NOT ($3 AND l.label IS NOT NULL)
         ORDER BY a.started DESC, s.name LIMIT $4"
    ))
    .bind::<Nullable<Text>, _>(filter.sensors.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since)
    .bind::<Bool, _>(filter.unlabelled)
    .bind::<BigInt, _>(filter.limit)
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(Anomaly::from).collect())
}

/// Returns the anomalies of a sensor that overlap a span of time, the oldest first.
pub async fn anomalies_between(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    from: Timestamp,
    to: Timestamp,
) -> QueryResult<Vec<Anomaly>> {
    let rows: Vec<JoinedRow> = sql_query(format!(
        "{SELECT}
         WHERE a.sensor = $1 AND a.started <= $3 AND coalesce(a.ended, 'infinity') >= $2 ORDER BY a.started"
    ))
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(Anomaly::from).collect())
}

/// Returns the anomaly of a sensor that started at a time.
pub async fn find_anomaly(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    started: Timestamp,
) -> QueryResult<Option<Anomaly>> {
    let rows: Vec<JoinedRow> = sql_query(format!("{SELECT} WHERE a.sensor = $1 AND a.started = $2"))
        .bind::<BigInt, _>(sensor.0)
        .bind::<Timestamptz, _>(started)
        .load(connection)
        .await?;
    Ok(rows.into_iter().next().map(Anomaly::from))
}

/// Returns the start times of the anomalies of a sensor that are nearest to a time, the nearest
/// first. Returns at most `limit`.
pub async fn nearest_anomalies(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    to: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Timestamp>> {
    let distance =
        diesel::dsl::sql::<Double>("abs(extract(epoch FROM started - ").bind::<Timestamptz, _>(to).sql("))");
    anomalies::table
        .filter(anomalies::sensor.eq(sensor.0))
        .order(distance)
        .limit(limit)
        .select(anomalies::started)
        .load(connection)
        .await
}
