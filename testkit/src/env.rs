//! Private servers with a directory for one test, and the operations of a test on them. An
//! operation that fails panics and prints the engines' logs.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use tempfile::TempDir;
use thicket_compose::{Servers, TlsFiles};

use crate::config::{Addresses, Config};
use crate::engine::Engine;
use crate::engine_process::{EngineProcess, Launch};
use crate::publisher::Publisher;
use crate::redis::RedisProbe;
use crate::snapshot::Snapshot;
use crate::tables::Tables;
use crate::timing::{POLL_INTERVAL, TIMEOUT};

/// Redis, Mosquitto and PostgreSQL with Thicket's tables, for one binary and one configuration.
/// Deleted at the end of the test.
pub struct TestEnv {
    /// The servers, to stop, kill and restart.
    pub servers: Servers,
    base: Config,
    binary: PathBuf,
    directory: TempDir,
}

impl TestEnv {
    /// A configuration with few partitions, to be extended.
    pub fn config() -> Config {
        Config::default().partitions(4)
    }

    /// Starts the servers and creates the tables. `base` configures every engine and command that
    /// is not given a configuration of its own.
    pub async fn start(binary: &str, base: Config) -> Self {
        Self::start_servers(binary, base, Self::directory(), Servers::start).await
    }

    /// Starts the servers like [`start`](Self::start), with TLS in addition. The certificates are in
    /// `directory`; see [`certificates`](crate::certificates).
    pub async fn start_with_tls(binary: &str, base: Config, directory: TempDir, files: TlsFiles) -> Self {
        let start = move |path: &Path| Servers::start_with_tls(path, &files);
        Self::start_servers(binary, base, directory, start).await
    }

    /// Creates a directory for a test.
    pub fn directory() -> TempDir {
        let directory = TempDir::with_prefix("thicket-test-");
        directory.unwrap_or_else(|error| panic!("no directory: {error}"))
    }

    async fn start_servers(
        binary: &str,
        base: Config,
        directory: TempDir,
        start: impl FnOnce(&Path) -> Result<Servers, thicket_compose::Error> + Send + 'static,
    ) -> Self {
        let path = directory.path().to_owned();
        let servers = tokio::task::spawn_blocking(move || start(&path)).await;
        let servers =
            servers.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|error| panic!("{error}"));
        let env = Self { servers, base, binary: binary.into(), directory };
        let migrated = env.thicket(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        env
    }

    /// Replaces the binary of every later engine and command, as an upgrade does.
    pub fn set_binary(&mut self, binary: &str) {
        self.binary = binary.into();
    }

    /// The configuration that it was started with.
    pub fn base(&self) -> Config {
        self.base.clone()
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where its servers are.
    pub fn addresses(&self) -> Addresses {
        Addresses::of(&self.servers)
    }

    /// Runs a command of the binary to its end.
    pub fn thicket(&self, arguments: &[&str]) -> Output {
        self.thicket_with(arguments, &self.base)
    }

    /// Runs a command of the binary to its end, with this configuration.
    pub fn thicket_with(&self, arguments: &[&str], config: &Config) -> Output {
        let path = self.path().join(format!("command-{:x}.toml", random()));
        std::fs::write(&path, config.file(&self.addresses()))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let output = Command::new(&self.binary).arg("--config").arg(path).args(arguments).output();
        output.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// Starts an engine and waits until it is ready.
    pub async fn engine(&self) -> Engine {
        self.engine_with(&self.base).await
    }

    /// Starts an engine with this configuration and waits until it is ready.
    pub async fn engine_with(&self, config: &Config) -> Engine {
        let engine = self.launch(config, &[]);
        engine.until_ready().await;
        engine
    }

    /// Starts an engine with additional environment variables and does not wait.
    pub fn launch(&self, config: &Config, environment: &[(&str, &str)]) -> Engine {
        let addresses = self.addresses();
        let config = config.file(&addresses);
        let (binary, directory) = (self.binary.as_path(), self.path());
        let launch = Launch { binary, directory, name: "engine", config: &config, environment };
        let process = EngineProcess::start(&launch).unwrap_or_else(|error| panic!("{error:#}"));
        Engine::new(process, addresses)
    }

    /// Connects a publisher of its own.
    pub fn publisher(&self) -> Publisher {
        Publisher::connect(&format!("publisher-{:x}", random()), self.servers.mosquitto.port())
    }

    /// Opens a session of the database.
    pub async fn tables(&self) -> Tables {
        Tables::open(&self.servers.postgres.url()).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Connects to Redis.
    pub async fn redis(&self) -> RedisProbe {
        let redis = RedisProbe::connect(&self.servers.redis.url(), self.base.partition_count()).await;
        redis.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Executes one or several statements.
    pub async fn execute(&self, statements: &str) {
        let done = self.tables().await.execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error:#}"));
    }

    /// Returns the single number that a query selects; 0 for null.
    pub async fn number(&self, query: &str) -> i64 {
        let number = self.tables().await.number(query).await;
        number.unwrap_or_else(|error| panic!("{query}: {error:#}"))
    }

    /// Returns the rows of a query, each as the text of a PostgreSQL row, such as `(a,1,t)`.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let texts = self.tables().await.texts(query).await;
        texts.unwrap_or_else(|error| panic!("{query}: {error:#}"))
    }

    /// Reads everything that must be the same in two runs.
    pub async fn snapshot(&self) -> Snapshot {
        self.tables().await.snapshot().await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Waits until a query selects this number.
    pub async fn until(&self, query: &str, expected: i64) {
        self.until_number(query, &format!("{expected}"), |found| found == expected).await;
    }

    /// Waits until a query selects a number above this one.
    pub async fn until_more_than(&self, query: &str, bound: i64) {
        self.until_number(query, &format!("more than {bound}"), |found| found > bound).await;
    }

    async fn until_number(&self, query: &str, expected: &str, is_reached: impl Fn(i64) -> bool) {
        let started = Instant::now();
        loop {
            let found = self.number(query).await;
            if is_reached(found) {
                return;
            }
            assert!(
                started.elapsed() < TIMEOUT,
                "{query} gives {found}, not {expected}\n{}",
                self.state().await
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the ledger has this many outcomes, and checks that none of its records lacks
    /// one.
    pub async fn until_accounted(&self, records: i64) {
        self.until("SELECT sum(delivered) FROM ledger", records).await;
        assert_eq!(self.unaccounted().await, 0);
    }

    /// Waits until this many readings are scored, and checks that no record lacks an outcome. The
    /// number of duplicates does not matter.
    pub async fn until_scored(&self, readings: i64) {
        self.until("SELECT sum(scored) FROM ledger", readings).await;
        assert_eq!(self.unaccounted().await, 0);
    }

    /// Returns the number of records in the ledger that have no outcome, or one too many: opposite
    /// errors of two partitions do not cancel each other out.
    pub async fn unaccounted(&self) -> i64 {
        self.number("SELECT sum(abs(unaccounted)) FROM ledger").await
    }

    /// Returns the logs of all its engines.
    pub fn logs(&self) -> String {
        let files = std::fs::read_dir(self.path()).into_iter().flatten().filter_map(Result::ok);
        let logs =
            files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
        logs.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// Describes ledger, logs in Redis and the engines' logs, for a test that fails.
    async fn state(&self) -> String {
        let ledger = self.texts("SELECT * FROM ledger ORDER BY partition").await.join("\n");
        let entries: Vec<u64> = match self.redis().await.logs().await {
            Ok(logs) => logs.iter().map(|log| log.entries).collect(),
            Err(_) => Vec::new(),
        };
        format!("entries in the logs: {entries:?}\n{ledger}\n{}", self.logs())
    }
}

/// Returns a number that no other test has.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
