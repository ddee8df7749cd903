//! Late readings: they are not newer than their sensor's newest reading. A late reading is stored
//! without a score if its sensor has no reading at its time. If the same reading is stored already,
//! it counts as a duplicate. If another reading is stored, it becomes a dead letter.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Double, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::ReadingRow;
use thicket_schema::{DeadLetter, Reading, Reason};

use super::batch::{LateReading, LoggedDeadLetter, LoggedRow};
use super::readings::{ReadingKey, insert_readings_returning};

/// The outcome of a late reading.
#[derive(Debug)]
pub(super) enum LateOutcome {
    /// It is stored without a score.
    Late,
    /// The same reading was stored before.
    Duplicate,
    /// Another reading is stored at its time.
    Conflict(Box<LoggedDeadLetter>),
}

#[derive(QueryableByName)]
struct StoredValues {
    #[diesel(embed)]
    key: ReadingKey,
    #[diesel(sql_type = BigInt)]
    field_set: i64,
    #[diesel(sql_type = Array<Double>)]
    values: Vec<f64>,
}

/// Inserts late readings. Returns the outcome of each, in the same order.
pub(super) async fn insert_late(
    connection: &mut AsyncPgConnection,
    late: &[&LateReading],
) -> QueryResult<Vec<LateOutcome>> {
    if late.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<LoggedRow> = late.iter().map(|late| late.row()).collect();
    let rows: Vec<&ReadingRow> = rows.iter().map(|logged| &logged.row).collect();
    let mut inserted = insert_readings_returning(connection, &rows).await?;
    let stored = stored_values(connection, &rows).await?;
    let outcomes = late.iter().map(|late| {
        let key = key_of(&late.reading);
        if inserted.remove(&key) {
            return LateOutcome::Late;
        }
        match stored.get(&key) {
            Some((field_set, values)) if is_same(&late.reading, *field_set, values) => LateOutcome::Duplicate,
            _ => LateOutcome::Conflict(Box::new(conflict(late))),
        }
    });
    Ok(outcomes.collect())
}

async fn stored_values(
    connection: &mut AsyncPgConnection,
    rows: &[&ReadingRow],
) -> QueryResult<HashMap<ReadingKey, (i64, Vec<f64>)>> {
    let times = || rows.iter().map(|row| row.ts);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(HashMap::new()) };
    // PostgreSQL plans only the days between the constants $3 and $4.
    let found: Vec<StoredValues> = sql_query(
        r#"SELECT r.sensor, r.ts, r.field_set, r."values"
           FROM UNNEST($1::int8[], $2::timestamptz[]) AS k (sensor, ts)
           JOIN readings r ON r.sensor = k.sensor AND r.ts = k.ts
           WHERE r.ts >= $3 AND r.ts <= $4"#,
    )
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.sensor).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(times().collect::<Vec<_>>())
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(last)
    .load(connection)
    .await?;
    Ok(found.into_iter().map(|row| (row.key, (row.field_set, row.values))).collect())
}

fn key_of(reading: &Reading) -> ReadingKey {
    ReadingKey { sensor: reading.sensor.id().0, ts: reading.ts }
}

fn is_same(reading: &Reading, field_set: i64, values: &[f64]) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    reading.fields.id() == field_set && bits(&reading.values) == bits(values)
}

fn conflict(late: &LateReading) -> LoggedDeadLetter {
    let reading = &late.reading;
    let detail = format!("{} has another reading at {}", reading.sensor, reading.ts);
    LoggedDeadLetter {
        position: late.position,
        received: late.received,
        redelivered: late.redelivered,
        dead_letter: DeadLetter::of_reading(reading, Reason::TimestampConflict, &detail),
    }
}
