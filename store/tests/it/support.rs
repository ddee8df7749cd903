//! A private server for one test.

use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
use fred::prelude::Client;
use tempfile::TempDir;
use thicket_compose::{MessageLocale, Postgres, Redis};
use thicket_schema::postgres::migrate;
use thicket_store::postgres::{PostgresConnection, connect_postgres};
use thicket_store::redis::try_connect_redis;

/// A PostgreSQL with Thicket's tables.
pub(crate) struct PostgresServer {
    server: Postgres,
    _directory: TempDir,
}

impl PostgresServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Postgres::start(directory.path()).unwrap();
        Self::migrated(server, directory).await
    }

    /// Starts a PostgreSQL whose messages are in German. Returns `None` if this machine cannot
    /// compile the locale: the package `locales` is missing.
    pub(crate) async fn start_in_german() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let locales = directory.path().join("locales");
        std::fs::create_dir(&locales).unwrap();
        let mut compile = std::process::Command::new("localedef");
        compile.args(["-i", "de_DE", "-f", "UTF-8"]).arg(locales.join("de_DE.UTF-8"));
        if !compile.output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        let messages = MessageLocale { directory: locales, name: "de_DE.UTF-8".to_owned() };
        let server = Postgres::start_with_messages(directory.path(), messages).unwrap();
        Some(Self::migrated(server, directory).await)
    }

    async fn migrated(server: Postgres, directory: TempDir) -> Self {
        let started = Self { server, _directory: directory };
        migrate(started.connect().await).await.unwrap();
        started
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn url_of(&self, database: &str) -> String {
        self.server.url_of(database)
    }

    pub(crate) fn url_as(&self, user: &str) -> String {
        self.server.url_as(user)
    }

    pub(crate) async fn connect(&self) -> PostgresConnection {
        connect_postgres(&self.url()).await.unwrap()
    }

    /// Returns the texts of a query's only column.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            text: String,
        }
        let query = format!("SELECT text FROM ({query}) AS found (text)");
        let rows: Vec<Row> = sql_query(query).load(&mut self.connect().await).await.unwrap();
        rows.into_iter().map(|row| row.text).collect()
    }

    pub(crate) async fn execute(&self, statements: &str) {
        self.connect().await.batch_execute(statements).await.unwrap();
    }

    /// Returns the number that a query gives.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("({query})")))
            .get_result(&mut self.connect().await)
            .await
            .unwrap()
    }
}

/// An empty Redis, and a connection to it.
pub(crate) struct RedisServer {
    pub(crate) client: Client,
    _server: Redis,
    _directory: TempDir,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Redis::start(directory.path()).unwrap();
        let client = try_connect_redis(&server.url()).await.unwrap();
        Self { client, _server: server, _directory: directory }
    }
}
