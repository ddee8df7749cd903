//! One hash over everything that stands in PostgreSQL, to compare runs that must end alike.
//!
//! - `feed`: unambiguous bytes of a row, into a SHA-256
//!
//! What the hash covers, and in which order, is a format: it changes only with a note in CHANGELOG.md.

mod row_hasher;

use futures_util::TryStreamExt as _;
use row_hasher::RowHasher;
use serde::{Deserialize, Serialize};

use crate::database::{AnomalyRow, Database, DatabaseError, DeadLetterRow, ReadingRow, SensorRow};

/// The digest of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Over the four others, in lower-case hexadecimal.
    pub sha256: String,
    /// By sensor name and time.
    pub readings: TableDigest,
    /// By sensor name and beginning.
    pub anomalies: TableDigest,
    /// By topic, reason, payload and its length.
    pub dead_letters: TableDigest,
    /// By name.
    pub sensors: TableDigest,
}

/// The digest of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Number of rows.
    pub rows: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// Reads the tables, as of one moment, and condenses them.
pub async fn digest(database_url: &str) -> Result<Digest, DatabaseError> {
    let mut database = Database::connect(database_url).await?;
    database.freeze().await?;
    let readings = readings(&mut database).await?;
    let anomalies = anomalies(&mut database).await?;
    let dead_letters = dead_letters(&mut database).await?;
    let sensors = sensors(&mut database).await?;
    database.thaw().await?;

    let mut all = RowHasher::new();
    for table in [&readings, &anomalies, &dead_letters, &sensors] {
        all.text(&table.sha256);
    }
    Ok(Digest { sha256: all.finish(), readings, anomalies, dead_letters, sensors })
}

async fn readings(database: &mut Database) -> Result<TableDigest, DatabaseError> {
    let mut feed = RowHasher::new();
    let mut rows = 0;
    for (name, id) in database.sensors().await? {
        let mut stream = Box::pin(database.readings(id, None).await?);
        while let Some(row) = stream.try_next().await? {
            reading(&mut feed, &name, database.field_names(row.field_set)?, &row);
            rows += 1;
        }
    }
    // Whatever is not reached through a sensor would escape the hash.
    let all = database.count_all_readings().await?;
    if all != rows {
        return Err(database.inconsistent(format!("{} readings belong to no sensor", all - rows)));
    }
    Ok(TableDigest { rows, sha256: feed.finish() })
}

fn reading(feed: &mut RowHasher, sensor: &str, fields: &[String], row: &ReadingRow) {
    feed.text(sensor);
    feed.time(row.ts);
    feed.texts(fields);
    feed.floats(&row.values);
    feed.optional(row.seq, RowHasher::integer);
    feed.optional(row.score, RowHasher::float);
    feed.optional(row.grade, RowHasher::float);
    feed.integer(i64::from(row.flags));
}

async fn anomalies(database: &mut Database) -> Result<TableDigest, DatabaseError> {
    let mut feed = RowHasher::new();
    let mut rows = 0;
    for (name, id) in database.sensors().await? {
        for row in database.anomalies(id).await? {
            anomaly(&mut feed, &name, &row);
            rows += 1;
        }
    }
    let all = database.count_all_anomalies().await?;
    if all != rows {
        return Err(database.inconsistent(format!("{} anomalies belong to no sensor", all - rows)));
    }
    Ok(TableDigest { rows, sha256: feed.finish() })
}

fn anomaly(feed: &mut RowHasher, sensor: &str, row: &AnomalyRow) {
    feed.text(sensor);
    feed.time(row.started);
    feed.optional(row.ended, RowHasher::time);
    feed.time(row.peak_at);
    feed.float(row.peak_score);
    feed.float(row.peak_grade);
    feed.integer(i64::from(row.readings));
    feed.texts(&row.fields);
    feed.floats(&row.contributions);
}

async fn dead_letters(database: &mut Database) -> Result<TableDigest, DatabaseError> {
    let mut feed = RowHasher::new();
    let mut rows = 0;
    let mut stream = Box::pin(database.dead_letters().await?);
    while let Some(row) = stream.try_next().await? {
        letter(&mut feed, &row);
        rows += 1;
    }
    Ok(TableDigest { rows, sha256: feed.finish() })
}

fn letter(feed: &mut RowHasher, row: &DeadLetterRow) {
    feed.text(&row.topic);
    feed.text(&row.reason);
    feed.bytes(&row.payload);
    feed.integer(row.payload_bytes);
}

async fn sensors(database: &mut Database) -> Result<TableDigest, DatabaseError> {
    let mut feed = RowHasher::new();
    let rows = database.sensor_rows().await?;
    for row in &rows {
        sensor(&mut feed, row);
    }
    Ok(TableDigest { rows: rows.len() as u64, sha256: feed.finish() })
}

fn sensor(feed: &mut RowHasher, row: &SensorRow) {
    feed.text(&row.name);
    feed.texts(&row.fields);
}

#[cfg(test)]
mod tests;
