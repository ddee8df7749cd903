//! `labels`: what people say about anomalies, on its way into the log. `applied_labels`: the labels
//! that detectors have applied.

use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use diesel::{QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::Label;
use thicket_schema::postgres::labels;
use thicket_schema::{PartitionId, SensorId, SensorName, Timestamp};

use super::connection::{PostgresPool, StoreError, quickly};

/// Maximum number of labels that one query returns.
const PAGE: i64 = 1_000;

/// A label that is not in the log yet.
#[derive(Clone, Debug)]
pub struct UnloggedLabel {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor whose anomaly it is.
    pub sensor: SensorName,
    /// When the anomaly started.
    pub started: Timestamp,
    /// `true`, `false` or `maintenance`.
    pub label: String,
}

/// A row of `applied_labels`.
#[derive(Clone, Copy, Debug)]
pub struct AppliedLabel {
    /// The sensor's id.
    pub sensor: SensorId,
    /// Number of the sensor's scored readings before the label was applied.
    pub seq: u64,
    /// Number of the label among those that the detector has applied, from 1.
    pub number: u64,
    /// When the anomaly started.
    pub started: Timestamp,
    /// The label.
    pub label: Label,
}

/// A label to set.
#[derive(Clone, Copy, Debug)]
pub struct NewLabel<'a> {
    /// The label.
    pub label: Label,
    /// A remark of the author.
    pub note: &'a str,
    /// Author of the label.
    pub author: &'a str,
}

/// Sets the label of an anomaly, and writes a notification of it. Has no effect if the sensor has
/// no anomaly that started then.
pub async fn set_label(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    started: Timestamp,
    new: NewLabel<'_>,
) -> QueryResult<()> {
    sql_query(
        "WITH labelled AS (
             INSERT INTO labels (sensor, started, label, note, author)
             SELECT sensor, started, $3, $4, $5 FROM anomalies WHERE sensor = $1 AND started = $2
             ON CONFLICT (sensor, started) DO UPDATE
             SET label = excluded.label, note = excluded.note, author = excluded.author, set_at = excluded.set_at,
                 logged = false
             RETURNING sensor, started, set_at)
         INSERT INTO notifications (sensor, started, kind, item)
         SELECT sensor, started, 'label', (extract(epoch FROM set_at) * 1000000)::bigint FROM labelled ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(started)
    .bind::<Text, _>(new.label.name())
    .bind::<Text, _>(new.note)
    .bind::<Text, _>(new.author)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes the label of an anomaly, if it has one.
pub async fn clear_label(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    started: Timestamp,
) -> QueryResult<()> {
    diesel::delete(labels::table.find((sensor.0, started))).execute(connection).await?;
    Ok(())
}

/// Returns labels that are not in the log yet, the oldest first.
pub async fn unlogged_labels(pool: &PostgresPool) -> Result<Vec<UnloggedLabel>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Timestamptz)]
        started: Timestamp,
        #[diesel(sql_type = Text)]
        label: String,
    }
    let query = sql_query(
        "SELECT s.partition, coalesce(s.first_name, s.name) AS name, l.started, l.label
         FROM labels l JOIN sensors s ON s.id = l.sensor WHERE NOT l.logged ORDER BY l.set_at, s.name, l.started LIMIT $1",
    )
    .bind::<BigInt, _>(PAGE);
    let rows: Vec<Row> = quickly(async { Ok(query.load(&mut *pool.get().await?).await?) }).await?;
    let label = |Row { partition, name, started, label }: Row| {
        let sensor = SensorName::new(&name).ok()?;
        Some(UnloggedLabel { partition: PartitionId(partition as u16), sensor, started, label })
    };
    Ok(rows.into_iter().filter_map(label).collect())
}

/// Marks labels as logged, except labels that an operator has changed meanwhile.
pub async fn mark_logged(pool: &PostgresPool, labels: &[UnloggedLabel]) -> Result<(), StoreError> {
    quickly(async {
        let mut connection = pool.get().await?;
        for UnloggedLabel { sensor, started, label, .. } in labels {
            sql_query("UPDATE labels SET logged = true WHERE sensor = $1 AND started = $2 AND label = $3")
                .bind::<BigInt, _>(sensor.id().0)
                .bind::<Timestamptz, _>(started)
                .bind::<Text, _>(label)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    })
    .await
}

/// Stores the labels that detectors have applied.
pub(super) async fn insert_applied_labels(
    connection: &mut AsyncPgConnection,
    applied: &[AppliedLabel],
) -> QueryResult<()> {
    for AppliedLabel { sensor, seq, number, started, label } in applied {
        // A detector that has begun again counts its labels from 1.
        sql_query(
            "INSERT INTO applied_labels (sensor, seq, number, started, label) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (sensor, seq, number) DO UPDATE SET started = excluded.started, label = excluded.label",
        )
        .bind::<BigInt, _>(sensor.0)
        .bind::<BigInt, _>(seq.cast_signed())
        .bind::<BigInt, _>(number.cast_signed())
        .bind::<Timestamptz, _>(started)
        .bind::<Text, _>(label.name())
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Returns the labels that a sensor's detector has applied, in the order of its readings.
pub async fn applied_labels(pool: &PostgresPool, sensor: SensorId) -> Result<Vec<AppliedLabel>, StoreError> {
    quickly(async { Ok(load_applied_labels(&mut *pool.get().await?, sensor).await?) }).await
}

/// Returns the labels as [`applied_labels`] does, on a connection of the caller's.
pub async fn load_applied_labels(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
) -> QueryResult<Vec<AppliedLabel>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        seq: i64,
        #[diesel(sql_type = BigInt)]
        number: i64,
        #[diesel(sql_type = Timestamptz)]
        started: Timestamp,
        #[diesel(sql_type = Text)]
        label: String,
    }
    let query = sql_query(
        "SELECT seq, number, started, label FROM applied_labels WHERE sensor = $1 ORDER BY seq, number",
    )
    .bind::<BigInt, _>(sensor.0);
    let rows: Vec<Row> = query.load(connection).await?;
    let applied = |Row { seq, number, started, label }: Row| {
        let (seq, number, label) = (seq.cast_unsigned(), number.cast_unsigned(), Label::from_name(&label)?);
        Some(AppliedLabel { sensor, seq, number, started, label })
    };
    Ok(rows.into_iter().filter_map(applied).collect())
}
