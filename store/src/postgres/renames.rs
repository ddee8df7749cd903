//! Sensors that were renamed. A sensor keeps its first name in the log, in Redis and for its
//! detector, so its id, partition, rows, checkpoint and scores stay. Only `sensors.name` changes.
//! The intake replaces the new name in a message by the first name, before the log.

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{SensorId, SensorName};

use super::connection::{PostgresPool, StoreError, quickly};

/// A sensor that was renamed.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Rename {
    /// Its name in the log and in Redis.
    #[diesel(sql_type = Text)]
    pub first_name: String,
    /// The name that it has now.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Number of its partition.
    #[diesel(sql_type = Integer)]
    pub partition: i32,
}

/// The outcome of renaming a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameOutcome {
    /// It has the new name.
    Renamed,
    /// Another sensor has the name.
    Taken,
    /// The sensor is not stored.
    Unknown,
}

/// The first name of a sensor, in a query for `sensors`.
pub(super) fn first_name() -> diesel::expression::SqlLiteral<Text> {
    diesel::dsl::sql("coalesce(sensors.first_name, sensors.name)")
}

/// Renames a sensor: one statement, so a crash leaves the old name or the new one.
pub async fn rename_sensor(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    name: &SensorName,
) -> QueryResult<RenameOutcome> {
    let renamed = sql_query(
        "UPDATE sensors SET name = $2, first_name = nullif(coalesce(first_name, name), $2) WHERE id = $1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Text, _>(name.as_str())
    .execute(connection)
    .await;
    match renamed {
        Ok(0) => Ok(RenameOutcome::Unknown),
        Ok(_) => Ok(RenameOutcome::Renamed),
        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(RenameOutcome::Taken),
        Err(error) => Err(error),
    }
}

/// Returns the sensors that were renamed.
pub(super) async fn renames(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Rename>> {
    sql_query("SELECT first_name, name, partition FROM sensors WHERE first_name IS NOT NULL ORDER BY id")
        .load(connection)
        .await
}

/// Returns the sensors that were renamed.
pub async fn read_renames(pool: &PostgresPool) -> Result<Vec<Rename>, StoreError> {
    quickly(async { Ok(renames(&mut *pool.get().await?).await?) }).await
}

/// Returns the name that a sensor has now, by its first name: the same unless it was renamed.
pub async fn present_name(connection: &mut AsyncPgConnection, first_name: &str) -> QueryResult<String> {
    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let found: Vec<Name> = sql_query("SELECT name FROM sensors WHERE first_name = $1")
        .bind::<Text, _>(first_name)
        .load(connection)
        .await?;
    Ok(found.into_iter().next().map_or_else(|| first_name.to_owned(), |found| found.name))
}
