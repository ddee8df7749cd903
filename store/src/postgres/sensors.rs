//! `sensors`: every sensor that has rows, and the union of its fields.

use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::batch::SeenSensor;

/// Inserts sensors and their field sets. `sensors.fields` becomes the sorted union of all fields
/// that a sensor has sent.
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
        .bind::<Timestamptz, _>(sensor.first_seen)
        .execute(connection)
        .await?;
    }
    Ok(())
}
