//! Sensors that send nothing any more.

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::SensorName;

/// Returns those of the given sensors, by their first names, that have no row in `sensors`, because
/// they were forgotten, and those whose newest reading is older than `days` days. With `None`,
/// silent sensors are not gone.
pub async fn gone_sensors(
    connection: &mut AsyncPgConnection,
    names: &[&str],
    days: Option<i32>,
) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Gone {
        #[diesel(sql_type = Text)]
        name: String,
    }
    // A text that is no name is the name of no sensor.
    let ids: Vec<i64> =
        names.iter().map(|name| SensorName::new(name).map_or(0, |name| name.id().0)).collect();
    let gone: Vec<Gone> = sql_query(
        "SELECT n.name FROM unnest($1, $3) AS n (name, id)
         LEFT JOIN sensors s ON s.id = n.id AND coalesce(s.first_name, s.name) = n.name
         WHERE s.id IS NULL OR s.last_day < (now() AT TIME ZONE 'UTC')::date - $2",
    )
    .bind::<Array<Text>, _>(names)
    .bind::<Nullable<Integer>, _>(days)
    .bind::<Array<BigInt>, _>(ids)
    .load(connection)
    .await?;
    Ok(gone.into_iter().map(|Gone { name }| name).collect())
}
