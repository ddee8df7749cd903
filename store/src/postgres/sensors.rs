//! `sensors`: every sensor that has rows, and the union of its fields.

use std::collections::BTreeMap;

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, Text, Timestamptz};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryResult, QueryableByName, sql_query,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{SensorRow, sensors};
use thicket_schema::{SensorName, Timestamp};

use super::batch::SeenSensor;
use super::pattern::like;
use super::readings::{BoundStatement, Rejection};
use super::renames::first_name;
use super::server_time::{HOUR, server_time};

/// Sensors to write, transposed into one array per column.
struct Columns<'a> {
    seen: &'a [(i32, &'a SeenSensor)],
    names: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(seen: &'a [(i32, &'a SeenSensor)]) -> Self {
        Self { seen, names: seen.iter().map(|(_, sensor)| sensor.fields.names().join("\n")).collect() }
    }

    /// Completes a statement that calls `function`.
    fn call(self, statement: &str) -> BoundStatement {
        let Self { seen, names } = self;
        sql_query(format!("{statement}($1, $2, $3, $4, $5, $6)"))
            .into_boxed()
            .bind::<Array<BigInt>, _>(column(seen, |seen| seen.sensor.id().0))
            .bind::<Array<Text>, _>(column(seen, |seen| seen.sensor.as_str().to_owned()))
            .bind::<Array<Integer>, _>(seen.iter().map(|(partition, _)| *partition).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(column(seen, |seen| seen.fields.id()))
            .bind::<Array<Text>, _>(names)
            .bind::<Array<Timestamptz>, _>(column(seen, |seen| seen.first_seen))
    }
}

fn column<T>(seen: &[(i32, &SeenSensor)], value: impl Fn(&SeenSensor) -> T) -> Vec<T> {
    seen.iter().map(|(_, sensor)| value(sensor)).collect()
}

/// Inserts sensors, each with its partition, and their field sets. A sensor's `fields` become the
/// sorted union of all it ever sent.
///
/// # Errors
/// Returns a unique violation if another sensor has the id of one of them, or if other names have
/// the id of one of the field sets.
pub(super) async fn upsert_sensors(
    connection: &mut AsyncPgConnection,
    seen: &[(i32, &SeenSensor)],
) -> QueryResult<()> {
    if seen.is_empty() {
        return Ok(());
    }
    Columns::of(seen).call("SELECT upsert_sensors").execute(connection).await?;
    Ok(())
}

/// Tries to insert sensors. The caller must roll back. Returns `None` if PostgreSQL accepts them.
///
/// # Errors
/// Returns an error if the connection or the server is to blame, not a sensor.
pub(super) async fn try_upsert_sensors(
    connection: &mut AsyncPgConnection,
    seen: &[(i32, &SeenSensor)],
) -> QueryResult<Option<Rejection>> {
    Ok(Columns::of(seen).call("SELECT * FROM try_upsert_sensors").load(connection).await?.into_iter().next())
}

/// Returns the first name of every sensor, with the ids of its field sets.
pub(super) async fn sensors_with_field_sets(
    connection: &mut AsyncPgConnection,
) -> QueryResult<Vec<(String, Vec<i64>)>> {
    sensors::table.select((first_name(), sensors::field_sets)).load(connection).await
}

/// Returns the first name of each sensor of some partitions, by id.
pub(super) async fn sensors_of_partitions(
    connection: &mut AsyncPgConnection,
    partitions: &[i32],
) -> QueryResult<BTreeMap<i32, BTreeMap<i64, String>>> {
    let rows: Vec<(i32, i64, String)> = sensors::table
        .filter(sensors::partition.eq_any(partitions))
        .select((sensors::partition, sensors::id, first_name()))
        .load(connection)
        .await?;
    let mut of: BTreeMap<i32, BTreeMap<i64, String>> = BTreeMap::new();
    for (partition, id, name) in rows {
        of.entry(partition).or_default().insert(id, name);
    }
    Ok(of)
}

/// Stores the newest day of each sensor, counted as in [`day_of`](super::day_of), unless a newer
/// one is stored.
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

/// Counts the sensors whose names match a pattern (`*` any text, `?` any character).
pub async fn count_sensors_matching(connection: &mut AsyncPgConnection, pattern: &str) -> QueryResult<i64> {
    sensors::table
        .filter(diesel::TextExpressionMethods::like(sensors::name, like(pattern)))
        .count()
        .get_result(connection)
        .await
}

/// Finds a sensor by its name.
pub async fn find_sensor(
    connection: &mut AsyncPgConnection,
    name: &SensorName,
) -> QueryResult<Option<SensorRow>> {
    sensors::table.filter(sensors::name.eq(name.as_str())).first(connection).await.optional()
}

/// Returns the names of at most `limit` sensors that may be like a name: first those that begin with
/// the same two characters, and of these first those of about the same length.
pub async fn sensor_names_like(
    connection: &mut AsyncPgConnection,
    name: &str,
    limit: i64,
) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT name FROM sensors
         ORDER BY left(name, 2) <> left($1, 2), abs(length(name) - length($1)), name LIMIT $2",
    )
    .bind::<Text, _>(name)
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
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

/// A sensor in a list.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ListedSensor {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Number of its partition.
    #[diesel(sql_type = Integer)]
    pub partition: i32,
    /// Time of its first reading.
    #[diesel(sql_type = Timestamptz)]
    pub first_seen: Timestamp,
    /// Time of its newest reading, if it has rows.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_seen: Option<Timestamp>,
    /// Number of fields that it ever sent.
    #[diesel(sql_type = BigInt)]
    pub fields: i64,
}

/// Returns at most `limit` sensors whose names match a pattern (`*` any text, `?` any character),
/// in the order of their names' bytes.
pub async fn list_sensors(
    connection: &mut AsyncPgConnection,
    pattern: &str,
    limit: i64,
) -> QueryResult<Vec<ListedSensor>> {
    sql_query(
        r#"SELECT s.name, s.partition, s.first_seen, newest.ts AS last_seen, cardinality(s.fields)::int8 AS fields
           FROM (SELECT * FROM sensors WHERE name LIKE $1 ORDER BY name COLLATE "C" LIMIT $2) s
           LEFT JOIN LATERAL (SELECT r.ts FROM readings r
                              WHERE r.sensor = s.id AND r.ts >= coalesce(s.last_day::timestamp AT TIME ZONE 'UTC', '-infinity')
                              ORDER BY r.ts DESC LIMIT 1) newest ON true
           ORDER BY s.name COLLATE "C""#,
    )
    .bind::<Text, _>(like(pattern))
    .bind::<BigInt, _>(limit)
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
    // With times as values, the query is planned over their days only, not over all days.
    let now = server_time(connection).await?.0;
    sql_query(
        "SELECT (SELECT count(*) FROM sensors) AS known, count(*) FILTER (WHERE of_day) AS reporting,
                count(*) FILTER (WHERE of_day AND NOT recent) AS silent
         FROM (SELECT EXISTS (SELECT FROM readings r WHERE r.sensor = s.id AND r.ts > $1) AS recent,
                      EXISTS (SELECT FROM readings r WHERE r.sensor = s.id AND r.ts > $2) AS of_day
               FROM sensors s
               WHERE s.last_day IS NULL OR s.last_day >= ($2 AT TIME ZONE 'UTC')::date) activity",
    )
    .bind::<Timestamptz, _>(Timestamp(now - 2 * HOUR))
    .bind::<Timestamptz, _>(Timestamp(now - 24 * HOUR))
    .get_result(connection)
    .await
}
