//! What people say of anomalies, on its way from the tables into the log.

use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use thicket_schema::{PartitionId, SensorName, Timestamp};

use crate::checkpoint::{HistoryError, PostgresPool};
use crate::writer::timestamptz;

/// A label that is not in the log yet.
#[derive(Clone, Debug)]
pub struct UnannouncedLabel {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// Whose anomaly it is.
    pub sensor: SensorName,
    /// When it began.
    pub started: Timestamp,
    /// `true`, `false` or `maintenance`.
    pub label: String,
}

/// The labels that are not in the log yet, the oldest first.
pub async fn unannounced_labels(pool: &PostgresPool) -> Result<Vec<UnannouncedLabel>, HistoryError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = BigInt)]
        started: i64,
        #[diesel(sql_type = Text)]
        label: String,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT s.partition, s.name, (EXTRACT(EPOCH FROM l.started) * 1000000)::int8 AS started, l.label
         FROM labels l JOIN sensors s ON s.id = l.sensor WHERE NOT l.announced ORDER BY l.set_at, s.name, l.started LIMIT 1000",
    )
    .load(&mut *pool.get().await?)
    .await?;
    let label = |row: Row| {
        let sensor = SensorName::new(&row.name).ok()?;
        let (partition, started) = (PartitionId(row.partition as u16), Timestamp(row.started));
        Some(UnannouncedLabel { partition, sensor, started, label: row.label })
    };
    Ok(rows.into_iter().filter_map(label).collect())
}

/// Remembers that labels are in the log. One that was changed meanwhile is not.
pub async fn mark_announced(pool: &PostgresPool, labels: &[UnannouncedLabel]) -> Result<(), HistoryError> {
    let mut connection = pool.get().await?;
    for UnannouncedLabel { sensor, started, label, .. } in labels {
        sql_query("UPDATE labels SET announced = true WHERE sensor = $1 AND started = $2 AND label = $3")
            .bind::<BigInt, _>(sensor.id().0)
            .bind::<Timestamptz, _>(timestamptz(*started))
            .bind::<Text, _>(label)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
