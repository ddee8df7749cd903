//! A PostgreSQL that answers the queries of the dashboards, as Grafana's user.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

use postgres::{Client, NoTls, SimpleQueryMessage};
use tempfile::TempDir;
use thicket_compose::Postgres;
use thicket_dashboards::{
    dashboard::{self, Language, Query},
    interpolation::{self, Context, Selection},
};

use crate::known::MICROPHONE;

/// A migrated database, and a session of Grafana's user.
pub(crate) struct Database {
    server: Postgres,
    pub(crate) reader: Client,
    _directory: TempDir,
}

impl Database {
    /// Creates the reader before the tables, as the composition does.
    pub(crate) fn new() -> Database {
        let directory = tempfile::tempdir().unwrap();
        let server = Postgres::start(directory.path()).unwrap();
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let status = Command::new(repository.join("compose/postgres/users.sh"))
            .envs([("PGHOST", "127.0.0.1"), ("POSTGRES_USER", "thicket"), ("POSTGRES_DB", "thicket")])
            .env("PGPORT", server.port().to_string())
            .env("PGPASSWORD", thicket_compose::password().unwrap())
            .env("POSTGRES_PASSWORD", thicket_compose::password().unwrap())
            .envs([("GRAFANA_DATABASE_PASSWORD", "grafana"), ("ENGINE_DATABASE_PASSWORD", "engine")])
            .status()
            .unwrap();
        assert!(status.success());
        let mut owner = Client::connect(&server.url(), NoTls).unwrap();
        let mut migrations: Vec<PathBuf> = fs::read_dir(repository.join("schema/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("up.sql"))
            .filter(|path| path.exists())
            .collect();
        migrations.sort();
        assert!(!migrations.is_empty());
        for migration in migrations {
            owner.batch_execute(&fs::read_to_string(migration).unwrap()).unwrap();
        }
        owner.batch_execute(&fs::read_to_string(repository.join("schema/roles.sql")).unwrap()).unwrap();
        let reader = Self::connect(&server);
        Database { server, reader, _directory: directory }
    }

    /// Begins a new session of Grafana's user.
    pub(crate) fn log_in(&mut self) {
        self.reader = Self::connect(&self.server);
    }

    fn connect(server: &Postgres) -> Client {
        let mut config: postgres::Config = server.url().parse().unwrap();
        config.user("grafana").password("grafana").connect(NoTls).unwrap()
    }

    pub(crate) fn insert(&self, rows: &str) {
        Client::connect(&self.server.url(), NoTls).unwrap().batch_execute(rows).unwrap();
    }

    /// Runs a query with the simple protocol, as Grafana does, and returns the answer as text.
    pub(crate) fn answer(&mut self, query: &Query, context: &Context) -> Vec<String> {
        let sql = interpolation::sql(&query.text, context).unwrap();
        let messages = self.reader.simple_query(&sql).unwrap_or_else(|error| {
            panic!("{}: {error:?}\n{sql}", query.place);
        });
        let mut lines = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let mut names = Vec::new();
                    for column in columns.iter() {
                        names.push(column.name());
                    }
                    lines.push(names.join(" | "));
                }
                SimpleQueryMessage::Row(row) => {
                    let cells: Vec<&str> =
                        (0..row.len()).map(|column| row.get(column).unwrap_or("-")).collect();
                    lines.push(cells.join(" | "));
                }
                _ => {}
            }
        }
        lines
    }
}

/// An hour of the known rows, with all sites.
pub(crate) fn context() -> Context {
    Context {
        from: "2026-11-22T10:00:00Z".parse().unwrap(),
        to: "2026-11-22T11:00:00Z".parse().unwrap(),
        interval: Duration::from_mins(1),
        rate_interval: Duration::from_secs(20),
        search: String::new(),
        variables: BTreeMap::from([
            ("sensor".to_owned(), Selection::One(MICROPHONE.to_owned())),
            ("page".to_owned(), Selection::One("0".to_owned())),
            ("field".to_owned(), several(&["laeq_db", "zcr"])),
            ("levels".to_owned(), Selection::One("1".to_owned())),
            ("site".to_owned(), Selection::All("NULL::text".to_owned())),
        ]),
    }
}

/// Returns the SQL queries of a dashboard.
pub(crate) fn sql_queries(dashboard: &str) -> Vec<Query> {
    let mut queries = dashboard::queries(&serde_json::from_str(dashboard).unwrap());
    queries.retain(|query| matches!(query.language, Language::SqlTable | Language::SqlTimeSeries));
    queries
}

/// The selection of a variable that can have several values.
pub(crate) fn several(values: &[&str]) -> Selection {
    Selection::Several(values.iter().map(|&value| value.to_owned()).collect())
}
