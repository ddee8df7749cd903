//! `sensors`: every sensor that has rows, and the union of its fields.

use std::collections::BTreeMap;

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{Array, BigInt, Date, Integer, Text, Timestamptz};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::SensorName;
use thicket_schema::postgres::{SensorRow, sensors};

use super::batch::SeenSensor;
use super::pattern::like;

/// A sensor with this many fields gets no further ones. Its readings still name all their fields.
const MAX_FIELDS: usize = 1_024;

/// Inserts sensors and their field sets. A sensor's `fields` become the sorted union of all it ever
/// sent, up to [`MAX_FIELDS`] and those of one reading.
pub(super) async fn upsert_sensors(
    connection: &mut AsyncPgConnection,
    partition_of: impl Fn(&SeenSensor) -> i32,
    seen: &[&SeenSensor],
) -> QueryResult<()> {
    for sensor in seen {
        sql_query("INSERT INTO field_sets (id, names) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(sensor.fields.id())
            .bind::<Array<Text>, _>(sensor.fields.names())
            .execute(connection)
            .await?;
        sql_query(format!(
            "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE
             SET fields = ARRAY(SELECT f COLLATE \"C\" FROM unnest(sensors.fields || excluded.fields) AS f GROUP BY 1 ORDER BY 1)
             WHERE NOT sensors.fields @> excluded.fields AND cardinality(sensors.fields) < {MAX_FIELDS}"
        ))
        .bind::<BigInt, _>(sensor.sensor.id().0)
        .bind::<Text, _>(sensor.sensor.as_str())
        .bind::<Integer, _>(partition_of(sensor))
        .bind::<Array<Text>, _>(sensor.fields.names())
        .bind::<Timestamptz, _>(sensor.first_seen)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Stores the newest day of each sensor, counted as in [`day_of`](super::day_of), unless a newer one is
/// stored.
pub(super) async fn write_last_days(
    connection: &mut AsyncPgConnection,
    days: &BTreeMap<i64, i32>,
) -> QueryResult<()> {
    if days.is_empty() {
        return Ok(());
    }
    sql_query(
        "UPDATE sensors s SET last_day = d.day FROM UNNEST($1::int8[], $2::date[]) AS d (sensor, day)
         WHERE s.id = d.sensor AND (s.last_day IS NULL OR s.last_day < d.day)",
    )
    .bind::<Array<BigInt>, _>(days.keys().copied().collect::<Vec<_>>())
    .bind::<Array<Date>, _>(days.values().map(|&day| PgDate(day)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the number of rows of `sensors`.
pub async fn count_sensors(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    sensors::table.count().get_result(connection).await
}

/// Finds a sensor by its name.
pub async fn find_sensor(
    connection: &mut AsyncPgConnection,
    name: &SensorName,
) -> QueryResult<Option<SensorRow>> {
    let found: Vec<SensorRow> = sensors::table.filter(sensors::id.eq(name.id().0)).load(connection).await?;
    Ok(found.into_iter().find(|sensor| sensor.name == name.as_str()))
}

/// Returns the names of at most `limit` sensors, by name.
pub async fn sensor_names(connection: &mut AsyncPgConnection, limit: i64) -> QueryResult<Vec<String>> {
    sensors::table.order(sensors::name).limit(limit).select(sensors::name).load(connection).await
}

/// Returns the sensors whose names match a pattern (`*` any text, `?` any character), in the order
/// of their names' bytes.
pub async fn sensors_matching(
    connection: &mut AsyncPgConnection,
    pattern: &str,
) -> QueryResult<Vec<SensorRow>> {
    sql_query(r#"SELECT * FROM sensors WHERE name LIKE $1 ORDER BY name COLLATE "C""#)
        .bind::<Text, _>(like(pattern))
        .load(connection)
        .await
}

/// How many sensors report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct SensorActivity {
    /// Sensors that have ever sent a reading.
    #[diesel(sql_type = BigInt)]
    pub known: i64,
    /// Sensors with a reading of the last day.
    #[diesel(sql_type = BigInt)]
    pub reporting: i64,
    /// Those of them without a reading of the last two hours.
    #[diesel(sql_type = BigInt)]
    pub silent: i64,
}

/// Counts the sensors that report. Reads the index of the days of these times only.
pub async fn sensor_activity(connection: &mut AsyncPgConnection) -> QueryResult<SensorActivity> {
    sql_query(
        "SELECT (SELECT count(*) FROM sensors) AS known, count(*) FILTER (WHERE of_day) AS reporting,
                count(*) FILTER (WHERE of_day AND NOT recent) AS silent
         FROM (SELECT EXISTS (SELECT FROM readings r WHERE r.sensor = s.id AND r.ts > now() - interval '2 hours') AS recent,
                      EXISTS (SELECT FROM readings r WHERE r.sensor = s.id AND r.ts > now() - interval '1 day') AS of_day
               FROM sensors s
               WHERE s.last_day IS NULL OR s.last_day >= (now() AT TIME ZONE 'UTC')::date - 1) activity",
    )
    .get_result(connection)
    .await
}
