//! Reads tables as of one moment. [`SnapshotReader`] serves the load test, which reads whole tables
//! and streams their rows.

use std::collections::{BTreeMap, HashMap};

use diesel::sql_types::{Bool, Timestamptz};
use diesel::{ConnectionError, ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName};
use diesel::{SelectableHelper as _, result::Error as QueryError, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::{Stream, TryStreamExt as _};
use thicket_schema::Timestamp;
use thicket_schema::postgres::{
    AnomalyRow, DeadLetterRow, Ledger, ReadingRow, SensorRow, anomalies, dead_letters, field_sets, readings,
    sensors,
};

use super::connection::establish;
use super::ledgers::partition_ledgers;
use super::server::PostgresServer;

/// Starts a snapshot for a long read of `readings` and returns its time. End it with
/// [`end_snapshot`].
///
/// The lock comes before the first query, and the first query takes the snapshot. So retention
/// cannot drop a day table of the snapshot while it is read.
pub async fn begin_snapshot(connection: &mut AsyncPgConnection) -> QueryResult<Timestamp> {
    #[derive(QueryableByName)]
    struct Moment {
        #[diesel(sql_type = Timestamptz)]
        at: Timestamp,
    }
    connection
        .batch_execute(
            "SET statement_timeout = 0;
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             LOCK TABLE readings IN ACCESS SHARE MODE",
        )
        .await?;
    let moment: Moment = sql_query("SELECT clock_timestamp() AS at").get_result(connection).await?;
    Ok(moment.at)
}

/// Ends a snapshot.
pub async fn end_snapshot(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    connection.batch_execute("COMMIT").await
}

/// Why the tables cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// No connection.
    #[error("cannot read PostgreSQL at {server}: {source}{}", how_to_start(source))]
    Unreachable {
        /// Address and database, without the password.
        server: String,
        /// The cause.
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
        /// The cause.
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

/// Returns how to start a server, if none listens at the address. All other errors say what to do.
fn how_to_start(error: &ConnectionError) -> &'static str {
    if error.to_string().to_lowercase().contains("connection refused") {
        "; is it running? start all servers with: make demo, or: \
         docker compose -f compose/compose.yaml -f compose/publish.yaml up postgres"
    } else {
        ""
    }
}

/// A connection that reads whole tables. Between [`freeze`](Self::freeze) and [`thaw`](Self::thaw),
/// all queries see the tables as of one moment.
pub struct SnapshotReader {
    connection: AsyncPgConnection,
    server: String,
    fields: HashMap<i64, Vec<String>>,
}

impl SnapshotReader {
    /// Connects, and checks that the tables exist.
    pub async fn connect(database: impl Into<PostgresServer>) -> Result<Self, SnapshotError> {
        #[derive(QueryableByName)]
        struct Tables {
            #[diesel(sql_type = Bool)]
            exist: bool,
        }
        let database = database.into();
        let server = database.to_string();
        let mut connection = match establish(&database).await {
            Ok(connection) => connection,
            Err(source) => return Err(SnapshotError::Unreachable { server, source }),
        };
        let tables: QueryResult<Tables> = sql_query("SELECT to_regclass('readings') IS NOT NULL AS exist")
            .get_result(&mut connection)
            .await;
        match tables {
            Ok(Tables { exist: true }) => Ok(Self { connection, server, fields: HashMap::new() }),
            Ok(Tables { exist: false }) => Err(SnapshotError::NotMigrated { server }),
            Err(source) => Err(SnapshotError::Query { server, source }),
        }
    }

    /// Begins a transaction in which all queries see the tables as they are now.
    pub async fn freeze(&mut self) -> Result<(), SnapshotError> {
        let begun = self.connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        begun.map_err(|error| self.failed(error))?;
        // Loaded here, because a query during a stream of rows would wait for the end of the
        // stream.
        let rows: QueryResult<Vec<(i64, Vec<String>)>> = field_sets::table.load(&mut self.connection).await;
        self.fields = rows.map_err(|error| self.failed(error))?.into_iter().collect();
        Ok(())
    }

    /// Ends the transaction that [`freeze`](Self::freeze) began.
    pub async fn thaw(&mut self) -> Result<(), SnapshotError> {
        end_snapshot(&mut self.connection).await.map_err(|error| self.failed(error))
    }

    /// Returns the id of every sensor by name, in the order of the names' bytes.
    pub async fn sensor_ids(&mut self) -> Result<BTreeMap<String, i64>, SnapshotError> {
        let rows = sensors::table.select((sensors::name, sensors::id)).load(&mut self.connection).await;
        rows.map(|rows: Vec<(String, i64)>| rows.into_iter().collect()).map_err(|error| self.failed(error))
    }

    /// Returns all sensors, in the order of the names' bytes.
    pub async fn sensors(&mut self) -> Result<Vec<SensorRow>, SnapshotError> {
        let rows = sensors::table.select(SensorRow::as_select()).load(&mut self.connection).await;
        let mut rows: Vec<SensorRow> = rows.map_err(|error| self.failed(error))?;
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Returns the names of a field set, as of [`freeze`](Self::freeze).
    pub fn field_names(&self, id: i64) -> Result<&[String], SnapshotError> {
        self.fields.get(&id).map(Vec::as_slice).ok_or_else(|| {
            self.inconsistent(format!("a reading refers to the field set {id}, which is missing"))
        })
    }

    /// Streams a sensor's readings, oldest first: all of them, or those from the first to the last
    /// time of `span`, both included.
    pub async fn readings(
        &mut self,
        sensor: i64,
        span: Option<(Timestamp, Timestamp)>,
    ) -> Result<impl Stream<Item = Result<ReadingRow, SnapshotError>> + use<>, SnapshotError> {
        let mut query =
            readings::table.filter(readings::sensor.eq(sensor)).select(ReadingRow::as_select()).into_boxed();
        if let Some((first, last)) = span {
            query = query.filter(readings::ts.between(first, last));
        }
        let rows = query
            .order(readings::ts)
            .load_stream::<ReadingRow>(&mut self.connection)
            .await
            .map_err(|error| self.failed(error))?;
        let server = self.server.clone();
        Ok(rows.map_err(move |source| SnapshotError::Query { server: server.clone(), source }))
    }

    /// Returns the number of readings of some sensors from a first to a last time, both included.
    pub async fn count_readings(
        &mut self,
        sensors: &[i64],
        (first, last): (Timestamp, Timestamp),
    ) -> Result<u64, SnapshotError> {
        let count: QueryResult<i64> = readings::table
            .filter(readings::sensor.eq_any(sensors))
            .filter(readings::ts.between(first, last))
            .count()
            .get_result(&mut self.connection)
            .await;
        count.map(i64::cast_unsigned).map_err(|error| self.failed(error))
    }

    /// Returns the number of all readings, also of those without a row in `sensors`.
    pub async fn count_all_readings(&mut self) -> Result<u64, SnapshotError> {
        let count: QueryResult<i64> = readings::table.count().get_result(&mut self.connection).await;
        count.map(i64::cast_unsigned).map_err(|error| self.failed(error))
    }

    /// Returns a sensor's anomalies, ordered by their start.
    pub async fn anomalies(&mut self, sensor: i64) -> Result<Vec<AnomalyRow>, SnapshotError> {
        let rows = anomalies::table
            .filter(anomalies::sensor.eq(sensor))
            .order(anomalies::started)
            .select(AnomalyRow::as_select())
            .load(&mut self.connection)
            .await;
        rows.map_err(|error| self.failed(error))
    }

    /// Returns the number of all anomalies, also of those without a row in `sensors`.
    pub async fn count_all_anomalies(&mut self) -> Result<u64, SnapshotError> {
        let count: QueryResult<i64> = anomalies::table.count().get_result(&mut self.connection).await;
        count.map(i64::cast_unsigned).map_err(|error| self.failed(error))
    }

    /// Streams all dead letters, ordered by topic, reason, payload, and length of the payload.
    pub async fn dead_letters(
        &mut self,
    ) -> Result<impl Stream<Item = Result<DeadLetterRow, SnapshotError>> + use<>, SnapshotError> {
        let bytewise = |column: &str| diesel::dsl::sql::<Bool>(&format!("{column} COLLATE \"C\""));
        let rows = dead_letters::table
            .order((
                bytewise("topic"),
                bytewise("reason"),
                dead_letters::payload,
                dead_letters::payload_bytes,
            ))
            .select(DeadLetterRow::as_select())
            .load_stream::<DeadLetterRow>(&mut self.connection)
            .await
            .map_err(|error| self.failed(error))?;
        let server = self.server.clone();
        Ok(rows.map_err(move |source| SnapshotError::Query { server: server.clone(), source }))
    }

    /// Returns the payloads of a topic's dead letters that were kept whole.
    pub async fn whole_payloads(&mut self, topic: &str) -> Result<Vec<Vec<u8>>, SnapshotError> {
        let rows: QueryResult<Vec<(Vec<u8>, i64)>> = dead_letters::table
            .filter(dead_letters::topic.eq(topic))
            .select((dead_letters::payload, dead_letters::payload_bytes))
            .load(&mut self.connection)
            .await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let whole = rows.into_iter().filter(|(payload, bytes)| payload.len() as i64 == *bytes);
        Ok(whole.map(|(payload, _)| payload).collect())
    }

    /// Returns the engine's ledger, summed over all partitions.
    pub async fn ledger(&mut self) -> Result<Ledger, SnapshotError> {
        let ledgers = partition_ledgers(&mut self.connection).await.map_err(|error| self.failed(error))?;
        Ok(ledgers.iter().map(|partition| partition.ledger).sum())
    }

    /// Creates an error about rows that contradict each other.
    pub fn inconsistent(&self, detail: String) -> SnapshotError {
        SnapshotError::Inconsistent { server: self.server.clone(), detail }
    }

    fn failed(&self, source: QueryError) -> SnapshotError {
        SnapshotError::Query { server: self.server.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_server_is_named_with_a_way_to_start_it() {
        let url = "postgres://thicket:secret@127.0.0.1:1/thicket";
        let Err(error) = SnapshotReader::connect(url).await else { panic!("connected to nothing") };
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1/thicket") && text.contains("make demo"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
