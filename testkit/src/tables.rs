//! PostgreSQL as the harness looks at it: what stands in the tables, what the ledger says of it, and who moved which position.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use thicket_schema::Position;

/// Makes the database write down who claims and who moves a partition: sessions carry the name of their node.
pub(crate) const WATCH: [&str; 3] = [
    "CREATE TABLE crash_moves (step bigserial, partition int, epoch bigint, generation bigint, n bigint, node text)",
    "CREATE FUNCTION crash_note() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         INSERT INTO crash_moves (partition, epoch, generation, n, node)
         VALUES (NEW.id, NEW.epoch, NEW.generation, NEW.n, current_setting('application_name'));
         RETURN NULL;
     END $$",
    "CREATE TRIGGER crash_note AFTER UPDATE ON partitions FOR EACH ROW
     WHEN ((OLD.epoch, OLD.generation, OLD.n) IS DISTINCT FROM (NEW.epoch, NEW.generation, NEW.n))
     EXECUTE FUNCTION crash_note()",
];

/// Every row of the four tables that follows from what was published, bit for bit, in an order of its own.
const ROWS: [(&str, &str); 4] = [
    (
        "readings",
        "SELECT s.name, r.ts, r.seq, fs.names, r.values, r.flags, r.config, encode(float8send(r.score), 'hex') AS score,
                encode(float8send(r.grade), 'hex') AS grade, encode(float4send(r.confidence), 'hex') AS confidence,
                encode(float4send(r.onset), 'hex') AS onset
         FROM readings r LEFT JOIN sensors s ON s.id = r.sensor LEFT JOIN field_sets fs ON fs.id = r.field_set
         ORDER BY s.name, r.ts",
    ),
    ("anomalies", "SELECT * FROM anomalies ORDER BY sensor, started"),
    (
        "dead_letters",
        "SELECT topic, reason, encode(payload, 'escape') AS payload, payload_bytes FROM dead_letters
         ORDER BY topic, reason, payload",
    ),
    ("sensors", "SELECT name, id, partition, fields, first_seen FROM sensors ORDER BY name"),
];

/// What the ledger says and what the tables hold; each must be 0.
const BALANCES: [(&str, &str); 6] = [
    ("records without an outcome", "SELECT sum(unaccounted) FROM ledger"),
    (
        "scored readings in the ledger that have no row",
        "SELECT sum(scored + poison) - (SELECT count(*) FROM readings WHERE seq IS NOT NULL OR flags & 8 <> 0) FROM ledger",
    ),
    (
        "late readings in the ledger that have no row",
        "SELECT sum(late) - (SELECT count(*) FROM readings WHERE seq IS NULL AND flags & 8 = 0) FROM ledger",
    ),
    (
        "dead letters in the ledger that have no row",
        "SELECT sum(dead_letters) - (SELECT count(*) FROM dead_letters) FROM ledger",
    ),
    (
        "sensors whose rows are not numbered without a gap",
        "SELECT count(*) FROM (SELECT sensor FROM readings WHERE seq IS NOT NULL GROUP BY sensor
                               HAVING min(seq) <> 1 OR max(seq) <> count(*)) AS broken",
    ),
    ("stretches of the log that were lost", "SELECT count(*) FROM log_losses"),
];

/// A connection to a case's database.
pub(crate) struct Tables {
    connection: AsyncPgConnection,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct Brought {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    seconds: i64,
}

/// A move of a partition's position or epoch.
#[derive(Debug, QueryableByName)]
pub(crate) struct Move {
    #[diesel(sql_type = BigInt)]
    pub(crate) partition: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) epoch: i64,
    #[diesel(sql_type = Text)]
    pub(crate) node: String,
}

/// The rows of each table, as text.
pub(crate) type Rows = BTreeMap<&'static str, Vec<String>>;

impl Tables {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        Ok(Self { connection: AsyncPgConnection::establish(url).await? })
    }

    /// Runs statements.
    pub(crate) async fn execute(&mut self, statements: &str) -> anyhow::Result<()> {
        Ok(self.connection.batch_execute(statements).await?)
    }

    /// The single number that a query asks for.
    pub(crate) async fn number(&mut self, query: &str) -> anyhow::Result<i64> {
        let query = format!("SELECT coalesce(({query}), 0)::int8 AS number");
        let row: Number = sql_query(query).get_result(&mut self.connection).await?;
        Ok(row.number)
    }

    /// The rows of a query, each as text.
    pub(crate) async fn texts(&mut self, query: &str) -> anyhow::Result<Vec<String>> {
        let query = format!("SELECT q::text AS text FROM ({query}) q");
        let rows: Vec<TextRow> = sql_query(query).load(&mut self.connection).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// Everything that is compared.
    pub(crate) async fn rows(&mut self) -> anyhow::Result<Rows> {
        let mut rows = Rows::new();
        for (table, query) in ROWS {
            rows.insert(table, self.texts(query).await?);
        }
        Ok(rows)
    }

    /// What the ledger and the tables do not agree on, in words.
    pub(crate) async fn imbalances(&mut self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for (what, query) in BALANCES {
            match self.number(query).await? {
                0 => {}
                number => found.push(format!("{what}: {number}")),
            }
        }
        Ok(found)
    }

    /// The committed position of each partition.
    pub(crate) async fn positions(&mut self) -> anyhow::Result<Vec<Position>> {
        let query = "SELECT generation || '-' || n AS text FROM partitions ORDER BY id";
        let rows: Vec<TextRow> = sql_query(query).load(&mut self.connection).await?;
        Ok(rows.iter().filter_map(|row| row.text.parse().ok()).collect())
    }

    /// Of which sensors and seconds there are readings.
    pub(crate) async fn brought(&mut self) -> anyhow::Result<BTreeSet<(String, i64)>> {
        let query = "SELECT s.name, extract(epoch FROM r.ts)::int8 AS seconds FROM readings r JOIN sensors s ON s.id = r.sensor";
        let rows: Vec<Brought> = sql_query(query).load(&mut self.connection).await?;
        Ok(rows.into_iter().map(|row| (row.name, row.seconds)).collect())
    }

    /// Who moved what, in order.
    pub(crate) async fn moves(&mut self) -> anyhow::Result<Vec<Move>> {
        let query = "SELECT partition::int8, epoch, node FROM crash_moves ORDER BY step";
        Ok(sql_query(query).load(&mut self.connection).await?)
    }
}
