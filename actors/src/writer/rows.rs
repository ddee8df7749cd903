//! The statements that write readings, sensors, field sets and events. Thousands of rows a statement, one array a column.

use std::collections::{BTreeMap, HashSet};

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Float, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::Cause;
use thicket_schema::{PartitionId, Timestamp};

use super::batch::{EventRow, HeardLabel, Loss, ReadingColumns, SeenSensor};
use super::timestamptz;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `$6[first:last]` cuts a row's values out of the flat array: an array parameter without nulls is sliced in place, while
/// an array of array literals has to be printed, sent as text and parsed again.
const INSERT: &str = r#"
INSERT INTO readings (sensor, ts, seq, field_set, "values", score, grade, flags, config, confidence, onset)
SELECT r.sensor, r.ts, r.seq, r.field_set, ($6::float8[])[r.first:r.last], r.score, r.grade, r.flags, r.config, r.confidence, r.onset
FROM UNNEST($1::int8[], $2::timestamptz[], $3::int8[], $4::int8[], $5::int4[], $7::int4[], $8::float8[], $9::float8[], $10::int4[], $11::int8[], $12::float4[], $13::float4[])
     AS r (sensor, ts, seq, field_set, first, last, score, grade, flags, config, confidence, onset)
ON CONFLICT DO NOTHING"#;

/// A row that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, QueryableByName)]
pub(super) struct StoredKey {
    #[diesel(sql_type = BigInt)]
    pub(super) sensor: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) ts_micros: i64,
}

/// Keeps the configurations that rows name.
pub(super) async fn insert_configs(
    connection: &mut AsyncPgConnection,
    configs: &BTreeMap<u64, &str>,
) -> QueryResult<()> {
    for (&id, &settings) in configs {
        sql_query("INSERT INTO configs (id, settings) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(id.cast_signed())
            .bind::<Text, _>(settings)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Keeps the labels that detectors have heard.
pub(super) async fn insert_heard_labels(
    connection: &mut AsyncPgConnection,
    heard: &[HeardLabel],
) -> QueryResult<()> {
    for HeardLabel { sensor, seq, started, label } in heard {
        sql_query(
            "INSERT INTO heard_labels (sensor, seq, started, label) VALUES ($1, $2, $3, $4)
             ON CONFLICT (sensor, seq, started) DO UPDATE SET label = excluded.label",
        )
        .bind::<BigInt, _>(sensor)
        .bind::<BigInt, _>(seq.cast_signed())
        .bind::<Timestamptz, _>(timestamptz(*started))
        .bind::<Text, _>(label.name())
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Keeps what is known of lost stretches of the log.
pub(super) async fn insert_losses(
    connection: &mut AsyncPgConnection,
    partition: PartitionId,
    losses: &[Loss],
) -> QueryResult<()> {
    for Loss { after, before } in losses {
        sql_query(
            "INSERT INTO log_losses (partition, after_generation, after_n, before_generation, before_n)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind::<Integer, _>(i32::from(partition.0))
        .bind::<BigInt, _>(after.generation.cast_signed())
        .bind::<BigInt, _>(after.n.cast_signed())
        .bind::<BigInt, _>(before.generation.cast_signed())
        .bind::<BigInt, _>(before.n.cast_signed())
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Inserts rows and returns how many were not there before.
pub(super) async fn insert_readings(
    connection: &mut AsyncPgConnection,
    rows: &ReadingColumns,
) -> QueryResult<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    bound(INSERT, rows).execute(connection).await
}

/// Inserts rows and returns the keys of those that were not there before.
pub(super) async fn insert_readings_returning(
    connection: &mut AsyncPgConnection,
    rows: &ReadingColumns,
) -> QueryResult<HashSet<StoredKey>> {
    let returning =
        format!("{INSERT} RETURNING sensor, (EXTRACT(EPOCH FROM ts) * 1000000)::int8 AS ts_micros");
    let keys: Vec<StoredKey> = bound(&returning, rows).load(connection).await?;
    Ok(keys.into_iter().collect())
}

type Bound<'a> = diesel::query_builder::BoxedSqlQuery<'a, diesel::pg::Pg, diesel::query_builder::SqlQuery>;

fn bound<'a>(statement: &str, rows: &'a ReadingColumns) -> Bound<'a> {
    sql_query(statement)
        .into_boxed()
        .bind::<Array<BigInt>, _>(&rows.sensor)
        .bind::<Array<Timestamptz>, _>(&rows.ts)
        .bind::<Array<Nullable<BigInt>>, _>(&rows.seq)
        .bind::<Array<BigInt>, _>(&rows.field_set)
        .bind::<Array<Integer>, _>(&rows.first)
        .bind::<Array<Double>, _>(&rows.values)
        .bind::<Array<Integer>, _>(&rows.last)
        .bind::<Array<Nullable<Double>>, _>(&rows.score)
        .bind::<Array<Nullable<Double>>, _>(&rows.grade)
        .bind::<Array<Integer>, _>(&rows.flags)
        .bind::<Array<Nullable<BigInt>>, _>(&rows.config)
        .bind::<Array<Nullable<Float>>, _>(&rows.confidence)
        .bind::<Array<Nullable<Float>>, _>(&rows.onset)
}

/// The day, counted from 2000-01-01, whose table holds a timestamp.
pub(super) fn day_of(ts: Timestamp) -> i32 {
    timestamptz(ts).0.div_euclid(MICROS_PER_DAY) as i32
}

/// The days that rows fall into.
pub(super) fn days_of(rows: &ReadingColumns) -> impl Iterator<Item = i32> + '_ {
    rows.ts.iter().map(|ts| ts.0.div_euclid(MICROS_PER_DAY) as i32)
}

/// Creates the day tables that are missing.
pub(super) async fn ensure_days(connection: &mut AsyncPgConnection, days: &[i32]) -> QueryResult<()> {
    let days: Vec<PgDate> = days.iter().map(|&day| PgDate(day)).collect();
    sql_query("SELECT ensure_day_partitions($1)").bind::<Array<Date>, _>(days).execute(connection).await?;
    Ok(())
}

/// Makes the sensors and their field sets known. A sensor's fields are the sorted union of all it ever brought.
pub(super) async fn upsert_sensors(
    connection: &mut AsyncPgConnection,
    partition_of: impl Fn(&SeenSensor) -> i32,
    seen: &[SeenSensor],
) -> QueryResult<()> {
    for sensor in seen {
        sql_query("INSERT INTO field_sets (id, names) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(sensor.fields.id())
            .bind::<Array<Text>, _>(sensor.fields.names())
            .execute(connection)
            .await?;
        sql_query(
            "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE
             SET fields = ARRAY(SELECT f COLLATE \"C\" FROM unnest(sensors.fields || excluded.fields) AS f GROUP BY 1 ORDER BY 1)
             WHERE NOT sensors.fields @> excluded.fields",
        )
        .bind::<BigInt, _>(sensor.sensor.id().0)
        .bind::<Text, _>(sensor.sensor.as_str())
        .bind::<Integer, _>(partition_of(sensor))
        .bind::<Array<Text>, _>(sensor.fields.names())
        .bind::<Timestamptz, _>(timestamptz(sensor.first_seen))
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Writes the latest state of each event. Events are few: one statement each.
pub(super) async fn upsert_events(
    connection: &mut AsyncPgConnection,
    events: &[EventRow],
) -> QueryResult<()> {
    for EventRow { sensor, event } in events {
        let causes = &event.causes;
        let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        let column = |of: fn(&Cause) -> f64| causes.iter().map(of).collect::<Vec<f64>>();
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
        .bind::<BigInt, _>(sensor)
        .bind::<Timestamptz, _>(timestamptz(Timestamp(event.started)))
        .bind::<Nullable<Timestamptz>, _>(event.ended.map(|ended| timestamptz(Timestamp(ended))))
        .bind::<Timestamptz, _>(timestamptz(Timestamp(event.peak_at)))
        .bind::<Double, _>(event.peak_score)
        .bind::<Double, _>(event.peak_grade)
        .bind::<Integer, _>(event.readings.cast_signed())
        .bind::<Array<Text>, _>(fields)
        .bind::<Array<Double>, _>(column(|cause| cause.share))
        .bind::<Bool, _>(event.accepted)
        .bind::<Array<Double>, _>(column(|cause| cause.actual))
        .bind::<Array<Double>, _>(column(|cause| cause.expected))
        .bind::<Array<Double>, _>(column(|cause| cause.low))
        .bind::<Array<Double>, _>(column(|cause| cause.high))
        .execute(connection)
        .await?;
    }
    Ok(())
}
