//! What the integration tests share: private servers, an engine process on them, a publisher, and questions to the tables.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]

pub mod chaos;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use tempfile::TempDir;
use thicket_compose::Servers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Private servers and a directory, gone at the end of the test.
pub struct Bed {
    pub servers: Servers,
    directory: TempDir,
}

impl Bed {
    /// Starts Redis, Mosquitto and PostgreSQL and makes the tables.
    pub async fn new() -> Self {
        let directory = TempDir::with_prefix("thicket-test-").unwrap();
        // PostgreSQL may run as a user of its own, who must get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let path = directory.path().to_owned();
        let servers = tokio::task::spawn_blocking(move || Servers::start(&path).unwrap()).await.unwrap();
        let bed = Self { servers, directory };
        assert!(bed.thicket(&["migrate"], "").status.success());
        bed
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A configuration on these servers: small, quick, with `extra` appended. Its lines that begin with `mqtt.` go where they belong.
    pub fn config(&self, extra: &str) -> PathBuf {
        let name = format!("{:x}.toml", xxhash_rust::xxh3::xxh3_64(extra.as_bytes()));
        let path = self.path().join(name);
        let (mqtt, extra): (Vec<&str>, Vec<&str>) = extra.lines().partition(|line| line.starts_with("mqtt."));
        let mqtt: Vec<&str> = mqtt.into_iter().map(|line| line.trim_start_matches("mqtt.")).collect();
        let (mqtt, extra) = (mqtt.join("\n"), extra.join("\n") + "\n");
        let text = format!(
            "[mqtt]\nurl = \"{}\"\n{mqtt}\n[redis]\nurl = \"{}\"\n[postgres]\nurl = \"{}\"\n{extra}",
            self.servers.mosquitto.url(),
            self.servers.redis.url(),
            self.servers.postgres.url()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command of the binary to its end.
    pub fn thicket(&self, arguments: &[&str], extra: &str) -> std::process::Output {
        let config = self.config(extra);
        Command::new(env!("CARGO_BIN_EXE_thicket"))
            .arg("--config")
            .arg(config)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Starts an engine and waits until it is ready.
    pub async fn engine(&self, extra: &str) -> Engine {
        let engine = self.engine_unready(extra);
        engine.ready().await;
        engine
    }

    /// Starts an engine.
    pub fn engine_unready(&self, extra: &str) -> Engine {
        self.engine_with(extra, &[])
    }

    /// Starts an engine with more in its environment.
    pub fn engine_with(&self, extra: &str, environment: &[(&str, &str)]) -> Engine {
        let port = free_port();
        let log = self.path().join(format!("engine-{port}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_thicket"))
            .arg("--config")
            .arg(self.config(extra))
            .arg("run")
            .envs(environment.iter().copied())
            .env("THICKET__HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Engine { child, port, log }
    }

    pub async fn postgres(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(&self.servers.postgres.url()).await.unwrap()
    }

    /// The single number that a query asks for.
    pub async fn number(&self, query: &str) -> i64 {
        let row: Number = sql_query(format!("SELECT ({query})::int8 AS number"))
            .get_result(&mut self.postgres().await)
            .await
            .unwrap();
        row.number
    }

    /// Runs a statement.
    pub async fn execute(&self, statement: &str) {
        sql_query(statement).execute(&mut self.postgres().await).await.unwrap();
    }

    /// Runs a statement after another in the same session.
    pub async fn execute_in_session(&self, first: &str, then: &str) {
        let mut connection = self.postgres().await;
        for statement in [first, then] {
            sql_query(statement).execute(&mut connection).await.unwrap();
        }
    }

    /// The rows of a query, each as text.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let rows: Vec<TextRow> = sql_query(format!("SELECT q::text AS text FROM ({query}) q"))
            .load(&mut self.postgres().await)
            .await
            .unwrap();
        rows.into_iter().map(|row| row.text).collect()
    }

    /// Waits until a query gives this number.
    pub async fn until(&self, query: &str, expected: i64) {
        let started = Instant::now();
        loop {
            let found = self.number(query).await;
            if found == expected {
                return;
            }
            if started.elapsed() >= PATIENCE {
                let ledger = self.texts("SELECT * FROM ledger").await.join("\n");
                panic!(
                    "{query} gives {found}, not {expected}\n{}\n{ledger}\n{}",
                    self.backlog().await,
                    self.logs()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many entries each partition's log holds, for a test that fails.
    async fn backlog(&self) -> String {
        use fred::interfaces::StreamsInterface as _;
        let redis = thicket_actors::queue::try_connect_redis(&self.servers.redis.url()).await.unwrap();
        let keys = thicket_schema::Keys::default();
        let mut entries = Vec::new();
        for partition in 0..self.number("SELECT count(*) FROM partitions").await {
            let log = keys.log(thicket_schema::PartitionId(partition as u16));
            let found: u64 = redis.xlen(log).await.unwrap();
            entries.push(found);
        }
        format!("entries in the log: {entries:?}")
    }

    /// Waits until every one of `records` records has an outcome, and checks that the ledger balances.
    pub async fn until_accounted(&self, records: i64) {
        self.until("SELECT coalesce(sum(delivered), 0) FROM ledger", records).await;
        assert_eq!(self.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    }

    /// The engines' logs, for a test that fails.
    pub fn logs(&self) -> String {
        let files = std::fs::read_dir(self.path()).unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::connect(&self.servers)
    }
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

/// A running engine. Killed when dropped.
pub struct Engine {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Engine {
    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        let started = Instant::now();
        while !self.get("/readyz").await.is_some_and(|answer| answer.contains(" 200 ")) {
            assert!(started.elapsed() < PATIENCE, "not ready\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// An answer of its HTTP server, with its head.
    pub async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Status and JSON answer of its HTTP server.
    pub async fn api(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
        let request = format!("{method} {path} HTTP/1.0\r\n{head}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}")))
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.unwrap();
        let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric is at least so much.
    pub async fn until_metric(&self, name: &str, at_least: f64) {
        let started = Instant::now();
        while self.metric(name).await < at_least {
            assert!(
                started.elapsed() < PATIENCE,
                "{name} stays at {}\n{}",
                self.metric(name).await,
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGTERM; its exit status.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "does not stop\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Publishes at QoS 1 and knows what the broker has taken.
pub struct Publisher {
    client: AsyncClient,
    acknowledged: tokio::sync::watch::Receiver<u64>,
    published: u64,
}

impl Publisher {
    fn connect(servers: &Servers) -> Self {
        let id = format!("publisher-{:x}", rand_id());
        let mut options = MqttOptions::new(id, "127.0.0.1", servers.mosquitto.port());
        options.set_max_packet_size(32 << 20, 32 << 20).set_clean_session(false).set_inflight(100);
        let (client, mut event_loop) = AsyncClient::new(options, 100);
        let (sender, acknowledged) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while !sender.is_closed() {
                match event_loop.poll().await {
                    Ok(Event::Incoming(Incoming::PubAck(_))) => sender.send_modify(|count| *count += 1),
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Self { client, acknowledged, published: 0 }
    }

    pub async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        self.published += 1;
    }

    /// Waits until the broker has taken everything.
    pub async fn settle(&mut self) {
        let published = self.published;
        let settled = self.acknowledged.wait_for(|&count| count >= published);
        tokio::time::timeout(PATIENCE, settled).await.expect("the broker takes the messages").unwrap();
    }
}

fn rand_id() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Now, in whole seconds since the Unix epoch.
pub fn now_seconds() -> i64 {
    chrono::Utc::now().timestamp()
}

/// Reading number `i` of a sensor: one a second, ending about now, the same for the same arguments.
pub fn payload(start: i64, sensor: usize, i: i64) -> String {
    let noise = |salt: u64| {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), salt + sensor as u64 * 7);
        (hash % 10_000) as f64 / 10_000.0
    };
    let spike = if i % 311 == 310 { 40.0 } else { 0.0 };
    format!(
        "{{\"ts\":{},\"level\":{},\"pitch\":{}}}",
        start + i,
        50.0 + noise(1) + spike,
        400.0 + 30.0 * noise(2)
    )
}
