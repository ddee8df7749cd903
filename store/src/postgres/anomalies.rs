//! `anomalies`: one row per event.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{Cause, Event};
use thicket_schema::postgres::AnomalyRow;
use thicket_schema::{Flag, SensorId, Timestamp};

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
                                    accepted, actual, expected, low, high)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (sensor, started) DO UPDATE
             SET ended = excluded.ended, peak_at = excluded.peak_at, peak_score = excluded.peak_score,
                 peak_grade = excluded.peak_grade, readings = excluded.readings, fields = excluded.fields,
                 contributions = excluded.contributions, accepted = excluded.accepted, actual = excluded.actual,
                 expected = excluded.expected, low = excluded.low, high = excluded.high",
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
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Ends the events that were open when a sensor's detector got another shape: the old detector,
/// which would have ended them, does not exist any more. Each event ends at its last anomalous
/// reading of the old shape. Idempotent.
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
