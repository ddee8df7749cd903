//! Copies all tables of a deployment to another database, in PostgreSQL's binary format: every
//! value keeps its bits. The tables are those that the database has, so that no table is forgotten.

use bytes::Bytes;
use diesel::ConnectionError;
use futures_util::{SinkExt as _, Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::connection::establish_client;
use super::server::PostgresServer;

/// The tables with rows of their own: neither the day tables of `readings`, nor the list of
/// migrations.
const TABLES: &str = "
SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> '__diesel_schema_migrations' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname";

/// The days that have a day table.
const DAYS: &str = r#"
SELECT to_date(substring(c.relname FROM '^readings_(y\d+m\d\dd\d\d)$'), '"y"YYYY"m"MM"d"DD')::text
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'readings'::regclass AND c.relname ~ '^readings_y\d+m\d\dd\d\d$' ORDER BY 1"#;

/// Why tables cannot be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// There is no connection.
    #[error("postgresql: {0}")]
    Connect(#[from] ConnectionError),
    /// PostgreSQL refuses a statement.
    #[error("postgresql: {}", thicket_connect::all_causes(.0))]
    Query(#[from] tokio_postgres::Error),
    /// The database has no table at all.
    #[error("the database has no tables: run `thicket migrate` first")]
    NoTables,
    /// The user may not read a sequence. Its last value would be missing in the archive.
    #[error(
        "this user may not read the sequence {0}: run `thicket migrate --roles` as the owner of the tables, and export again"
    )]
    NoRight(String),
    /// The database has no such table, or other columns.
    #[error("the table {0} has other columns here: export and import with the same version of thicket")]
    OtherColumns(String),
    /// The database has rows already.
    #[error("the database has rows already (table {0}): import into an empty database")]
    NotEmpty(String),
}

/// A table and its columns, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The name.
    pub name: String,
    /// The names of the columns.
    pub columns: Vec<String>,
}

impl Table {
    fn column_list(&self) -> String {
        self.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }
}

/// A sequence and its last value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The name.
    pub name: String,
    /// The value that was given last; `None` if none was given.
    pub last: Option<i64>,
}

/// Reads all tables as of one moment.
pub struct TableReader {
    client: Client,
}

impl TableReader {
    /// Connects and begins a snapshot.
    pub async fn begin(server: &PostgresServer) -> Result<Self, TransferError> {
        let client = establish_client(server).await?;
        // As in `begin_snapshot`: the lock comes before the snapshot.
        let begin = "SET statement_timeout = 0; SET TIME ZONE 'UTC';
                     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE readings IN ACCESS SHARE MODE";
        client.batch_execute(begin).await?;
        Ok(Self { client })
    }

    /// Returns the tables.
    pub async fn tables(&self) -> Result<Vec<Table>, TransferError> {
        tables(&self.client).await
    }

    /// Returns the days that have a day table, as `YYYY-MM-DD`.
    pub async fn days(&self) -> Result<Vec<String>, TransferError> {
        let rows = self.client.query(DAYS, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Returns the sequences.
    pub async fn sequences(&self) -> Result<Vec<Sequence>, TransferError> {
        // To a user without the right, `last_value` is NULL, as that of a new sequence.
        let query = "SELECT sequencename::text, last_value,
                            has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'SELECT, USAGE')
                     FROM pg_sequences WHERE schemaname = current_schema() ORDER BY sequencename";
        let rows = self.client.query(query, &[]).await?;
        let sequence = |row: &tokio_postgres::Row| {
            let sequence = Sequence { name: row.try_get(0)?, last: row.try_get(1)? };
            if row.try_get(2)? { Ok(sequence) } else { Err(TransferError::NoRight(sequence.name)) }
        };
        rows.iter().map(sequence).collect()
    }

    /// Returns the number of rows of a table.
    pub async fn count(&self, table: &Table) -> Result<u64, TransferError> {
        count(&self.client, table).await
    }

    /// Streams the rows of a table.
    pub async fn rows(
        &self,
        table: &Table,
    ) -> Result<impl Stream<Item = Result<Bytes, TransferError>> + use<>, TransferError> {
        let copy = format!(
            "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)",
            table.column_list(),
            quoted(&table.name)
        );
        Ok(self.client.copy_out(copy.as_str()).await?.map_err(TransferError::from))
    }
}

/// Writes tables in one transaction.
pub struct TableWriter {
    client: Client,
}

impl TableWriter {
    /// Connects and begins the transaction. Fails unless the database has the same tables, all
    /// without a row.
    pub async fn begin(server: &PostgresServer, expected: &[Table]) -> Result<Self, TransferError> {
        let client = establish_client(server).await?;
        client
            .batch_execute(
                "SET statement_timeout = 0; SET TIME ZONE 'UTC'; SET synchronous_commit = on; BEGIN",
            )
            .await?;
        let found = tables(&client).await?;
        if found.is_empty() {
            return Err(TransferError::NoTables);
        }
        let different = expected
            .iter()
            .find(|table| !found.contains(table))
            .or_else(|| found.iter().find(|table| !expected.contains(table)));
        if let Some(table) = different {
            return Err(TransferError::OtherColumns(table.name.clone()));
        }
        for table in &found {
            client
                .batch_execute(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", quoted(&table.name)))
                .await?;
            if count(&client, table).await? > 0 {
                return Err(TransferError::NotEmpty(table.name.clone()));
            }
        }
        Ok(Self { client })
    }

    /// Creates the day tables of these days.
    pub async fn create_days(&self, days: &[String]) -> Result<(), TransferError> {
        self.client.execute("SELECT ensure_day_partitions($1::text[]::date[])", &[&days]).await?;
        Ok(())
    }

    /// Writes the rows of a table, which [`TableReader::rows`] has read.
    pub async fn write(
        &self,
        table: &Table,
        rows: impl Stream<Item = Result<Bytes, TransferError>>,
    ) -> Result<(), TransferError> {
        let copy =
            format!("COPY {} ({}) FROM STDIN (FORMAT binary)", quoted(&table.name), table.column_list());
        let sink = self.client.copy_in::<_, Bytes>(copy.as_str()).await?;
        let mut sink = std::pin::pin!(sink);
        let mut rows = std::pin::pin!(rows);
        while let Some(bytes) = rows.try_next().await? {
            sink.send(bytes).await?;
        }
        sink.finish().await?;
        Ok(())
    }

    /// Returns the number of rows of a table.
    pub async fn count(&self, table: &Table) -> Result<u64, TransferError> {
        count(&self.client, table).await
    }

    /// Sets the sequences and commits.
    pub async fn commit(self, sequences: &[Sequence]) -> Result<(), TransferError> {
        for Sequence { name, last } in sequences {
            if let Some(last) = last {
                self.client.execute("SELECT setval($1::text::regclass, $2)", &[&quoted(name), last]).await?;
            }
        }
        Ok(self.client.batch_execute("COMMIT").await?)
    }
}

async fn tables(client: &Client) -> Result<Vec<Table>, TransferError> {
    let rows = client.query(TABLES, &[]).await?;
    rows.iter().map(|row| Ok(Table { name: row.try_get(0)?, columns: row.try_get(1)? })).collect()
}

async fn count(client: &Client, table: &Table) -> Result<u64, TransferError> {
    let row = client.query_one(&format!("SELECT count(*) FROM {}", quoted(&table.name)), &[]).await?;
    Ok(row.try_get::<_, i64>(0)?.cast_unsigned())
}

/// Returns a name as an identifier of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
