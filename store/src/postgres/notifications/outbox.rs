//! The outbox: the rows of `notifications`. Each is written in the transaction that changes the
//! anomaly, before the change. What is stored of the anomaly until then tells whether it begins or
//! ends. So the rows follow from the log, whichever batches the transactions had.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Bool, Timestamptz};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::AnomalyRow;
use thicket_schema::{SensorId, Timestamp};

/// Writes a notification for each anomaly that begins, and for each that ends. `anomalies` are the
/// states that the transaction stores afterwards.
pub(in crate::postgres) async fn announce(
    connection: &mut AsyncPgConnection,
    anomalies: &[AnomalyRow],
) -> QueryResult<()> {
    if anomalies.is_empty() {
        return Ok(());
    }
    sql_query(
        "INSERT INTO notifications (sensor, started, kind)
         SELECT new.sensor, new.started, k.kind
         FROM unnest($1, $2, $3) WITH ORDINALITY AS new (sensor, started, is_over, number)
         LEFT JOIN anomalies old ON old.sensor = new.sensor AND old.started = new.started
         CROSS JOIN LATERAL (VALUES (1, 'opened', old.sensor IS NULL), (2, 'ended', new.is_over AND old.ended IS NULL))
             AS k (rank, kind, is_new)
         WHERE k.is_new ORDER BY new.number, k.rank
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(anomalies.iter().map(|row| row.sensor).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(anomalies.iter().map(|row| row.started).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(anomalies.iter().map(|row| row.ended.is_some()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes a notification for each anomaly of a sensor that ends because the sensor is forgotten. The
/// outbox keeps the name of the sensor for what it still has of it.
pub(in crate::postgres) async fn announce_forgotten(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
) -> QueryResult<()> {
    let statements = [
        "INSERT INTO notifications (sensor, started, kind)
         SELECT sensor, started, 'ended' FROM anomalies WHERE sensor = $1 AND ended IS NULL ORDER BY started
         ON CONFLICT DO NOTHING",
        "INSERT INTO forgotten_sensors (sensor, name)
         SELECT s.id, s.name FROM sensors s
         WHERE s.id = $1 AND EXISTS (SELECT FROM notifications n WHERE n.sensor = s.id)
         ON CONFLICT (sensor) DO UPDATE SET forgotten = excluded.forgotten",
    ];
    for statement in statements {
        sql_query(statement).bind::<BigInt, _>(sensor.0).execute(connection).await?;
    }
    Ok(())
}

/// Writes a notification for each anomaly that ends because its detector got another shape.
pub(in crate::postgres) async fn announce_reshaped(
    connection: &mut AsyncPgConnection,
    reshaped: &BTreeMap<SensorId, Timestamp>,
) -> QueryResult<()> {
    if reshaped.is_empty() {
        return Ok(());
    }
    sql_query(
        "INSERT INTO notifications (sensor, started, kind)
         SELECT a.sensor, a.started, 'ended'
         FROM unnest($1, $2) AS changed (sensor, at)
         JOIN anomalies a ON a.sensor = changed.sensor AND a.ended IS NULL AND a.started <= changed.at
         ORDER BY a.sensor, a.started
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(reshaped.keys().map(|sensor| sensor.0).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(reshaped.values().copied().collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
