//! Queries to PostgreSQL: what an engine has stored.

use std::collections::BTreeSet;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use thicket_schema::{Position, SensorName};

/// A session of one database.
pub struct Tables {
    pub(crate) connection: AsyncPgConnection,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct ReadingTime {
    #[diesel(sql_type = Text)]
    sensor: String,
    #[diesel(sql_type = BigInt)]
    seconds: i64,
}

impl Tables {
    /// Opens a session.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        Ok(Self { connection: AsyncPgConnection::establish(url).await? })
    }

    /// Executes one or several statements.
    pub async fn execute(&mut self, statements: &str) -> anyhow::Result<()> {
        Ok(self.connection.batch_execute(statements).await?)
    }

    /// Returns the single number that a query selects; 0 for null.
    pub async fn number(&mut self, query: &str) -> anyhow::Result<i64> {
        let query = format!("SELECT coalesce(({query}), 0)::int8 AS number");
        let row: NumberRow = sql_query(query).get_result(&mut self.connection).await?;
        Ok(row.number)
    }

    /// Returns the rows of a query, each as the text of a PostgreSQL row, such as `(a,1,t)`.
    pub async fn texts(&mut self, query: &str) -> anyhow::Result<Vec<String>> {
        self.column(&format!("SELECT q::text AS text FROM ({query}) q")).await
    }

    /// Returns the column `text` of a query.
    pub(crate) async fn column(&mut self, query: &str) -> anyhow::Result<Vec<String>> {
        let rows: Vec<TextRow> = sql_query(query).load(&mut self.connection).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// Returns a sum over all partitions of a column of the view `ledger`, such as `delivered`.
    pub async fn ledger_sum(&mut self, column: &str) -> anyhow::Result<i64> {
        self.number(&format!("SELECT sum({column}) FROM ledger")).await
    }

    /// Returns the rows of the view `ledger` for an error message.
    pub async fn ledger(&mut self) -> anyhow::Result<String> {
        Ok(self.texts("SELECT * FROM ledger ORDER BY partition").await?.join("\n"))
    }

    /// Returns the committed position of each partition.
    pub async fn positions(&mut self) -> anyhow::Result<Vec<Position>> {
        let query = "SELECT generation || '-' || n AS text FROM partitions ORDER BY id";
        let positions = self.column(query).await?;
        positions
            .iter()
            .map(|text| text.parse().map_err(|_| anyhow::anyhow!("no position: {text}")))
            .collect()
    }

    /// Returns the sequence number of a sensor's newest scored reading; 0 if there is none.
    pub async fn last_seq(&mut self, sensor: &SensorName) -> anyhow::Result<u64> {
        let id = sensor.id().0;
        let seq = self.number(&format!("SELECT max(seq) FROM readings WHERE sensor = {id}")).await?;
        Ok(seq.cast_unsigned())
    }

    /// Returns the number of readings with this time, in seconds since the Unix epoch.
    pub async fn readings_at(&mut self, seconds: i64) -> anyhow::Result<u64> {
        let query = format!("SELECT count(*) FROM readings WHERE ts = to_timestamp({seconds})");
        Ok(self.number(&query).await?.cast_unsigned())
    }

    /// Returns sensor and time of every reading, in seconds since the Unix epoch.
    pub async fn reading_times(&mut self) -> anyhow::Result<BTreeSet<(String, i64)>> {
        let query = "SELECT s.name AS sensor, extract(epoch FROM r.ts)::int8 AS seconds
             FROM readings r JOIN sensors s ON s.id = r.sensor";
        let rows: Vec<ReadingTime> = sql_query(query).load(&mut self.connection).await?;
        Ok(rows.into_iter().map(|row| (row.sensor, row.seconds)).collect())
    }

    /// Returns the sessions that may block others, for an error message.
    pub async fn blocking_sessions(&mut self) -> anyhow::Result<String> {
        let query = "SELECT application_name, state, wait_event_type, now() - state_change AS since, query
             FROM pg_stat_activity
             WHERE datname = current_database() AND state LIKE '%transaction%' OR wait_event_type = 'Lock'";
        Ok(self.texts(query).await?.join("\n    "))
    }

    /// Begins a transaction that prevents every restore of a detector, because a restore reads the
    /// applied labels. The transaction ends with the session.
    pub async fn block_restores(&mut self) -> anyhow::Result<()> {
        self.execute("BEGIN; LOCK TABLE applied_labels IN ACCESS EXCLUSIVE MODE").await
    }

    /// Begins a transaction that keeps every commit waiting. [`Self::release`] ends it.
    pub async fn block_commits(&mut self) -> anyhow::Result<()> {
        self.execute("BEGIN; SELECT 1 FROM partitions ORDER BY id FOR UPDATE").await
    }

    /// Ends a transaction.
    pub async fn release(&mut self) -> anyhow::Result<()> {
        self.execute("COMMIT").await
    }
}
