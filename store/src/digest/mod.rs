//! A hash over all rows in PostgreSQL, to compare runs that must produce the same rows.
//!
//! - `row_hasher`: hashes rows with SHA-256
//!
//! The columns in the hash and their order are a format: they change only with a note in
//! CHANGELOG.md.

mod row_hasher;

use futures_util::TryStreamExt as _;
use row_hasher::RowHasher;
use serde::{Deserialize, Serialize};
use thicket_schema::postgres::{AnomalyRow, DeadLetterRow, ReadingRow, SensorRow};

use crate::postgres::{PostgresServer, SnapshotError, SnapshotReader};

/// The digest of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// SHA-256 over the four hashes below, in lower-case hexadecimal.
    pub sha256: String,
    /// The readings, by sensor name and time.
    pub readings: TableDigest,
    /// The anomalies, by sensor name and beginning.
    pub anomalies: TableDigest,
    /// The dead letters, by topic, reason, payload and its length.
    pub dead_letters: TableDigest,
    /// The sensors, by name.
    pub sensors: TableDigest,
}

/// The digest of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Number of rows.
    pub rows: u64,
    /// SHA-256 over the rows, in lower-case hexadecimal.
    pub sha256: String,
}

/// Reads a snapshot of the tables and hashes their rows.
pub async fn digest(database: impl Into<PostgresServer>) -> Result<Digest, SnapshotError> {
    let mut database = SnapshotReader::connect(database).await?;
    database.freeze().await?;
    let readings = hash_readings(&mut database).await?;
    let anomalies = hash_anomalies(&mut database).await?;
    let dead_letters = hash_dead_letters(&mut database).await?;
    let sensors = hash_sensors(&mut database).await?;
    database.thaw().await?;

    let mut all = RowHasher::new();
    for table in [&readings, &anomalies, &dead_letters, &sensors] {
        all.text(&table.sha256);
    }
    Ok(Digest { sha256: all.finish(), readings, anomalies, dead_letters, sensors })
}

async fn hash_readings(database: &mut SnapshotReader) -> Result<TableDigest, SnapshotError> {
    let mut hasher = RowHasher::new();
    let mut rows = 0;
    for (name, id) in database.sensor_ids().await? {
        let mut stream = Box::pin(database.readings(id, None).await?);
        while let Some(row) = stream.try_next().await? {
            add_reading(&mut hasher, &name, database.field_names(row.field_set)?, &row);
            rows += 1;
        }
    }
    // Readings without a row in `sensors` are not in the hash.
    let all = database.count_all_readings().await?;
    if all != rows {
        return Err(database.inconsistent(format!("{} readings belong to no sensor", all - rows)));
    }
    Ok(TableDigest { rows, sha256: hasher.finish() })
}

fn add_reading(hasher: &mut RowHasher, sensor: &str, fields: &[String], row: &ReadingRow) {
    hasher.text(sensor);
    hasher.time(row.ts);
    hasher.texts(fields);
    hasher.floats(&row.values);
    hasher.optional(row.seq, RowHasher::integer);
    hasher.optional(row.score, RowHasher::float);
    hasher.optional(row.grade, RowHasher::float);
    hasher.integer(i64::from(row.flags));
}

async fn hash_anomalies(database: &mut SnapshotReader) -> Result<TableDigest, SnapshotError> {
    let mut hasher = RowHasher::new();
    let mut rows = 0;
    for (name, id) in database.sensor_ids().await? {
        for row in database.anomalies(id).await? {
            add_anomaly(&mut hasher, &name, &row);
            rows += 1;
        }
    }
    let all = database.count_all_anomalies().await?;
    if all != rows {
        return Err(database.inconsistent(format!("{} anomalies belong to no sensor", all - rows)));
    }
    Ok(TableDigest { rows, sha256: hasher.finish() })
}

fn add_anomaly(hasher: &mut RowHasher, sensor: &str, row: &AnomalyRow) {
    hasher.text(sensor);
    hasher.time(row.started);
    hasher.optional(row.ended, RowHasher::time);
    hasher.time(row.peak_at);
    hasher.float(row.peak_score);
    hasher.float(row.peak_grade);
    hasher.integer(i64::from(row.readings));
    hasher.texts(&row.fields);
    hasher.floats(&row.contributions);
}

async fn hash_dead_letters(database: &mut SnapshotReader) -> Result<TableDigest, SnapshotError> {
    let mut hasher = RowHasher::new();
    let mut rows = 0;
    let mut stream = Box::pin(database.dead_letters().await?);
    while let Some(row) = stream.try_next().await? {
        add_dead_letter(&mut hasher, &row);
        rows += 1;
    }
    Ok(TableDigest { rows, sha256: hasher.finish() })
}

fn add_dead_letter(hasher: &mut RowHasher, row: &DeadLetterRow) {
    hasher.text(&row.topic);
    hasher.text(&row.reason);
    hasher.bytes(&row.payload);
    hasher.integer(row.payload_bytes);
}

async fn hash_sensors(database: &mut SnapshotReader) -> Result<TableDigest, SnapshotError> {
    let mut hasher = RowHasher::new();
    let rows = database.sensors().await?;
    for row in &rows {
        add_sensor(&mut hasher, row);
    }
    Ok(TableDigest { rows: rows.len() as u64, sha256: hasher.finish() })
}

fn add_sensor(hasher: &mut RowHasher, row: &SensorRow) {
    hasher.text(&row.name);
    hasher.texts(&row.fields);
}

#[cfg(test)]
mod tests;
