//! The queries of `verify` and `digest`: one connection, one snapshot, rows streamed by sensor.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::{ConnectionError, ExpressionMethods as _, QueryDsl as _, result::Error as QueryError};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::{Stream, TryStreamExt as _};
use thicket_schema::postgres::{anomalies, dead_letters, field_sets, partitions, readings, sensors};

/// Why the database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// PostgreSQL does not accept the connection.
    #[error(
        "cannot reach PostgreSQL at {server}: {source}; is it running? start all servers with: make demo, or: \
         docker compose -f compose/compose.yaml up postgres"
    )]
    Unreachable {
        /// Address and database, without the password.
        server: String,
        /// The failure.
        source: ConnectionError,
    },
    /// The tables are missing.
    #[error("{server} has no Thicket tables; create them with: thicket migrate")]
    NotMigrated {
        /// Address and database.
        server: String,
    },
    /// A query failed.
    #[error("PostgreSQL at {server} failed a query: {source}")]
    Query {
        /// Address and database.
        server: String,
        /// The failure.
        source: QueryError,
    },
    /// The tables contradict each other.
    #[error("{server} is inconsistent: {detail}")]
    Inconsistent {
        /// Address and database.
        server: String,
        /// The contradiction.
        detail: String,
    },
}

/// The columns of a reading's row that are used.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct ReadingRow {
    pub(crate) ts: DateTime<Utc>,
    pub(crate) seq: Option<i64>,
    pub(crate) field_set: i64,
    pub(crate) values: Vec<f64>,
    pub(crate) score: Option<f64>,
    pub(crate) grade: Option<f64>,
    pub(crate) flags: i32,
}

/// An anomaly's row, without the sensor.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct AnomalyRow {
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) peak_at: DateTime<Utc>,
    pub(crate) peak_score: f64,
    pub(crate) peak_grade: f64,
    pub(crate) readings: i32,
    pub(crate) fields: Vec<String>,
    pub(crate) contributions: Vec<f64>,
}

/// The columns of a dead letter's row that depend only on the message.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct DeadLetterRow {
    pub(crate) topic: String,
    pub(crate) reason: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) payload_bytes: i64,
}

/// A sensor's row.
#[derive(Debug, diesel::Queryable)]
pub(crate) struct SensorRow {
    pub(crate) name: String,
    pub(crate) fields: Vec<String>,
}

/// The counts of the engine's ledger, summed over all partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LedgerTotals {
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) dead_letters: u64,
}

/// A connection to PostgreSQL.
pub(crate) struct Database {
    connection: AsyncPgConnection,
    server: String,
    fields: HashMap<i64, Vec<String>>,
}

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let server = without_secrets(url);
        match AsyncPgConnection::establish(url).await {
            Ok(connection) => Ok(Self { connection, server, fields: HashMap::new() }),
            Err(source) => Err(DatabaseError::Unreachable { server, source }),
        }
    }

    /// Begins a snapshot: all later queries see the tables as they are now.
    pub(crate) async fn freeze(&mut self) -> Result<(), DatabaseError> {
        let outcome = self.connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        outcome.map_err(|error| self.failed(error))?;
        // Read the field sets now: a query during a stream of rows would wait for the stream's end.
        let rows: Result<Vec<(i64, Vec<String>)>, QueryError> =
            field_sets::table.load(&mut self.connection).await;
        self.fields = rows.map_err(|error| self.failed(error))?.into_iter().collect();
        Ok(())
    }

    /// Ends the snapshot of [`Database::freeze`].
    pub(crate) async fn thaw(&mut self) -> Result<(), DatabaseError> {
        let outcome = self.connection.batch_execute("COMMIT").await;
        outcome.map_err(|error| self.failed(error))
    }

    /// Returns the ids of all sensors by name, in the order of the names' bytes.
    pub(crate) async fn sensors(&mut self) -> Result<BTreeMap<String, i64>, DatabaseError> {
        let rows = sensors::table.select((sensors::name, sensors::id)).load(&mut self.connection).await;
        rows.map(|rows: Vec<(String, i64)>| rows.into_iter().collect()).map_err(|error| self.failed(error))
    }

    /// Returns the rows of all sensors, in the order of the names' bytes.
    pub(crate) async fn sensor_rows(&mut self) -> Result<Vec<SensorRow>, DatabaseError> {
        let rows = sensors::table.select((sensors::name, sensors::fields)).load(&mut self.connection).await;
        let mut rows: Vec<SensorRow> = rows.map_err(|error| self.failed(error))?;
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Returns the names of a field set, as of [`Database::freeze`].
    pub(crate) fn field_names(&self, id: i64) -> Result<&[String], DatabaseError> {
        self.fields.get(&id).map(Vec::as_slice).ok_or_else(|| {
            self.inconsistent(format!("a reading refers to the field set {id}, which is missing"))
        })
    }

    /// Streams a sensor's readings by event time: all, or those from the first to the last time of
    /// `span`.
    pub(crate) async fn readings(
        &mut self,
        sensor: i64,
        span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    ) -> Result<impl Stream<Item = Result<ReadingRow, DatabaseError>> + use<>, DatabaseError> {
        let mut query = readings::table.filter(readings::sensor.eq(sensor)).into_boxed();
        if let Some((first, last)) = span {
            query = query.filter(readings::ts.between(first, last));
        }
        let rows = query
            .order(readings::ts)
            .select((
                readings::ts,
                readings::seq,
                readings::field_set,
                readings::values,
                readings::score,
                readings::grade,
                readings::flags,
            ))
            .load_stream::<ReadingRow>(&mut self.connection)
            .await
            .map_err(|error| self.failed(error))?;
        let server = self.server.clone();
        Ok(rows.map_err(move |error| failed(&server, error)))
    }

    /// Counts the readings of some sensors from the first to the last event time.
    pub(crate) async fn count_readings(
        &mut self,
        of: &[i64],
        (first, last): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<u64, DatabaseError> {
        let count: Result<i64, QueryError> = readings::table
            .filter(readings::sensor.eq_any(of))
            .filter(readings::ts.between(first, last))
            .count()
            .get_result(&mut self.connection)
            .await;
        count.map(|count| count as u64).map_err(|error| self.failed(error))
    }

    /// Counts all readings, including those without a row in `sensors`.
    pub(crate) async fn count_all_readings(&mut self) -> Result<u64, DatabaseError> {
        let count: Result<i64, QueryError> = readings::table.count().get_result(&mut self.connection).await;
        count.map(|count| count as u64).map_err(|error| self.failed(error))
    }

    /// Returns a sensor's anomalies, by their beginning.
    pub(crate) async fn anomalies(&mut self, sensor: i64) -> Result<Vec<AnomalyRow>, DatabaseError> {
        let rows = anomalies::table
            .filter(anomalies::sensor.eq(sensor))
            .order(anomalies::started)
            .select((
                anomalies::started,
                anomalies::ended,
                anomalies::peak_at,
                anomalies::peak_score,
                anomalies::peak_grade,
                anomalies::readings,
                anomalies::fields,
                anomalies::contributions,
            ))
            .load(&mut self.connection)
            .await;
        rows.map_err(|error| self.failed(error))
    }

    /// Counts all anomalies, including those without a row in `sensors`.
    pub(crate) async fn count_all_anomalies(&mut self) -> Result<u64, DatabaseError> {
        let count: Result<i64, QueryError> = anomalies::table.count().get_result(&mut self.connection).await;
        count.map(|count| count as u64).map_err(|error| self.failed(error))
    }

    /// Streams all dead letters, ordered by topic, reason, payload and its length.
    pub(crate) async fn dead_letters(
        &mut self,
    ) -> Result<impl Stream<Item = Result<DeadLetterRow, DatabaseError>> + use<>, DatabaseError> {
        let bytewise =
            |column: &str| diesel::dsl::sql::<diesel::sql_types::Bool>(&format!("{column} COLLATE \"C\""));
        let rows = dead_letters::table
            .order((
                bytewise("topic"),
                bytewise("reason"),
                dead_letters::payload,
                dead_letters::payload_bytes,
            ))
            .select((
                dead_letters::topic,
                dead_letters::reason,
                dead_letters::payload,
                dead_letters::payload_bytes,
            ))
            .load_stream::<DeadLetterRow>(&mut self.connection)
            .await
            .map_err(|error| self.failed(error))?;
        let server = self.server.clone();
        Ok(rows.map_err(move |error| failed(&server, error)))
    }

    /// Returns the payloads of a topic's dead letters, without those that were stored only in part.
    pub(crate) async fn whole_payloads(&mut self, topic: &str) -> Result<Vec<Vec<u8>>, DatabaseError> {
        let rows: Result<Vec<(Vec<u8>, i64)>, QueryError> = dead_letters::table
            .filter(dead_letters::topic.eq(topic))
            .select((dead_letters::payload, dead_letters::payload_bytes))
            .load(&mut self.connection)
            .await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let whole = rows.into_iter().filter(|(payload, bytes)| payload.len() as i64 == *bytes);
        Ok(whole.map(|(payload, _)| payload).collect())
    }

    /// Returns the counts of the engine's ledger.
    pub(crate) async fn ledger(&mut self) -> Result<LedgerTotals, DatabaseError> {
        let rows: Result<Vec<(i64, i64, i64)>, QueryError> = partitions::table
            .select((partitions::duplicates, partitions::late, partitions::dead_letters))
            .load(&mut self.connection)
            .await;
        let mut totals = LedgerTotals::default();
        for (duplicates, late, dead_letters) in rows.map_err(|error| self.failed(error))? {
            totals.duplicates += duplicates as u64;
            totals.late += late as u64;
            totals.dead_letters += dead_letters as u64;
        }
        Ok(totals)
    }

    /// Returns an error about rows that contradict each other.
    pub(crate) fn inconsistent(&self, detail: String) -> DatabaseError {
        DatabaseError::Inconsistent { server: self.server.clone(), detail }
    }

    fn failed(&self, source: QueryError) -> DatabaseError {
        failed(&self.server, source)
    }
}

fn failed(server: &str, source: QueryError) -> DatabaseError {
    let server = server.to_owned();
    // SQLSTATE 42P01 (undefined_table). Diesel has no kind for it.
    let missing_table = matches!(&source, QueryError::DatabaseError(_, information)
        if information.message().starts_with("relation") && information.message().ends_with("does not exist"));
    if missing_table {
        DatabaseError::NotMigrated { server }
    } else {
        DatabaseError::Query { server, source }
    }
}

/// Returns the URL without user and password: `host:port/database`.
fn without_secrets(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            without_secrets("postgres://thicket:s@cret@db:5432/thicket?sslmode=prefer"),
            "db:5432/thicket"
        );
        assert_eq!(without_secrets("postgres://localhost/thicket"), "localhost/thicket");
    }

    #[tokio::test]
    async fn an_absent_server_is_named_with_a_way_to_start_it() {
        let url = "postgres://thicket:secret@127.0.0.1:1/thicket";
        let Err(error) = Database::connect(url).await else { panic!("connected to nothing") };
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1/thicket") && text.contains("make demo"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
