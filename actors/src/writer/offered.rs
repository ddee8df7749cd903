//! Readings that are not newer than their sensor's newest: stored unscored where there is nothing at their time, counted
//! where the same is there already, a dead letter where something else is.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Double, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{DeadLetter, Reading, Reason, flags};

use super::batch::{LetterRow, OfferedReading, ReadingColumns};
use super::rows::{StoredKey, insert_readings_returning};

/// What became of an offered reading.
#[derive(Debug)]
pub(super) enum Fate {
    /// Stored, unscored.
    Late,
    /// The same reading is there already.
    Duplicate,
    /// Another reading has its time.
    Conflict(Box<LetterRow>),
}

#[derive(QueryableByName)]
struct StoredValues {
    #[diesel(embed)]
    key: StoredKey,
    #[diesel(sql_type = BigInt)]
    field_set: i64,
    #[diesel(sql_type = Array<Double>)]
    values: Vec<f64>,
}

/// Offers readings in order and returns the fate of each.
pub(super) async fn offer(
    connection: &mut AsyncPgConnection,
    offered: &[OfferedReading],
) -> QueryResult<Vec<Fate>> {
    if offered.is_empty() {
        return Ok(Vec::new());
    }
    let rows = late_rows(offered);
    let mut inserted = insert_readings_returning(connection, &rows).await?;
    let stored = stored_values(connection, &rows).await?;
    let fates = offered.iter().map(|offer| {
        let key = key_of(&offer.reading);
        if inserted.remove(&key) {
            return Fate::Late;
        }
        match stored.get(&key) {
            Some((field_set, values)) if same(&offer.reading, *field_set, values) => Fate::Duplicate,
            _ => Fate::Conflict(Box::new(conflict(offer))),
        }
    });
    Ok(fates.collect())
}

/// The rows that offered readings would be.
pub(super) fn late_rows(offered: &[OfferedReading]) -> ReadingColumns {
    let mut rows = ReadingColumns::default();
    for offer in offered {
        rows.push_unscored(&offer.reading, offer.place, flags::LATE);
    }
    rows
}

async fn stored_values(
    connection: &mut AsyncPgConnection,
    rows: &ReadingColumns,
) -> QueryResult<HashMap<StoredKey, (i64, Vec<f64>)>> {
    let found: Vec<StoredValues> = sql_query(
        r#"SELECT r.sensor, (EXTRACT(EPOCH FROM r.ts) * 1000000)::int8 AS ts_micros, r.field_set, r."values"
           FROM UNNEST($1::int8[], $2::timestamptz[]) AS k (sensor, ts)
           JOIN readings r ON r.sensor = k.sensor AND r.ts = k.ts"#,
    )
    .bind::<Array<BigInt>, _>(&rows.sensor)
    .bind::<Array<Timestamptz>, _>(&rows.ts)
    .load(connection)
    .await?;
    Ok(found.into_iter().map(|row| (row.key, (row.field_set, row.values))).collect())
}

fn key_of(reading: &Reading) -> StoredKey {
    StoredKey { sensor: reading.sensor.id().0, ts_micros: reading.ts.0 }
}

fn same(reading: &Reading, field_set: i64, values: &[f64]) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    reading.fields.id() == field_set && bits(&reading.values) == bits(values)
}

fn conflict(offer: &OfferedReading) -> LetterRow {
    let reading = &offer.reading;
    let detail = format!("{} has another reading at {}", reading.sensor, reading.ts);
    LetterRow {
        position: offer.place.position,
        item: offer.place.item,
        received: offer.received,
        redelivered: offer.redelivered,
        letter: DeadLetter::of_reading(reading, Reason::TimestampConflict, &detail),
    }
}

/// The sensors' days, which the writer makes sure of before the transaction.
pub(super) fn days_of(offered: &[OfferedReading]) -> impl Iterator<Item = i32> + '_ {
    offered.iter().map(|offer| super::rows::day_of(offer.reading.ts))
}
