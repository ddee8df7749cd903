//! Private stores, and a shard with its peers on one arbiter.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Supervised};
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use prometheus::{IntCounter, Registry};
use tempfile::TempDir;
use thicket_compose::{Postgres, Redis};
use thicket_detector::DetectorConfig;
use thicket_schema::{
    Control, Entry, FieldSet, Item, Keys, PartitionId, Position, Reading, Record, SensorName, Timestamp,
};

use thicket_actors::checkpoint::{BudgetOptions, Checkpointer};
use thicket_actors::detector::DetectorConfigs;
use thicket_actors::metrics::Metrics;
use thicket_actors::ownership::{Join, PartitionKeeper, Renewal, RenewalOptions, ShardHandle};
use thicket_actors::shard::{CacheBounds, Shard, ShardOptions, ShardPeers};
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, start_here};
use thicket_actors::writer::{DeadLetterLog, PostgresWriter, PostgresWriterOptions};
use thicket_store::faults;
use thicket_store::postgres::{check_deployment, connect_postgres, postgres_pool};
use thicket_store::redis::{
    AppendOutcome, CheckpointStore, Leases, LogAppender, LogReader, NodeName, Opening, Suspects,
    connect_redis,
};

/// A value that panics a detector while the fail point is armed.
pub(crate) const POISON: f64 = faults::POISON[0].0;
pub(crate) const START: i64 = 1_790_000_000_000_000;

pub(crate) struct TestEnv {
    _directory: TempDir,
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
    _shard: Addr<Shard>,
    pub(crate) checkpointer: Addr<Checkpointer>,
    pub(crate) metrics: Metrics,
}

impl TestEnv {
    pub(crate) async fn new() -> Self {
        Self::with(20, 1_000).await
    }

    /// Starts a shard with a checkpoint after every so many readings, and restores in pages of so
    /// many rows.
    pub(crate) async fn with(checkpoint_every: u64, rows_per_page: usize) -> Self {
        let directory = TempDir::with_prefix("thicket-shard-").unwrap();
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let redis = Redis::start(&directory.path().join("redis")).unwrap();
        let postgres = Postgres::start(&directory.path().join("postgres")).unwrap();
        migrate(postgres.url());
        check_deployment(&mut connect_postgres(&postgres.url()).await.unwrap(), 1).await.unwrap();

        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (keys, client) = (Keys::default(), connect_redis(&redis.url()).await);
        let pool = postgres_pool(&postgres.url(), 2).unwrap();
        let options = PostgresWriterOptions {
            server: (&postgres.url()).into(),
            max_rows: 1_000,
            dead_letters: DeadLetterLog::default(),
            lease: Duration::from_millis(600),
        };
        let writers = vec![start(PostgresWriter::new(options, metrics.clone())).recipient()];
        let store = CheckpointStore::new(client.clone(), keys.clone());
        let budget = BudgetOptions { memory: None, partitions: 1 };
        let checkpointer = Checkpointer::new(store, pool.clone(), budget, metrics.clone());
        let checkpointer = start(checkpointer.with_rows_per_page(rows_per_page));
        let (node, ttl) = (NodeName::of_this_process("node"), Duration::from_millis(600));
        let leases = Leases::new(client.clone(), node.clone(), ttl);
        let options = RenewalOptions { server: (&redis.url()).into(), node, nodes: keys.nodes(), ttl };
        let renewal = Renewal::start(options, metrics.leases.clone()).unwrap();
        let keeper = start(PartitionKeeper::new(1, leases, renewal, keys.clone(), pool, metrics.clone()));
        let options = ShardOptions {
            number: 0,
            detectors: std::sync::Arc::new(DetectorConfigs::new(detector(), Vec::new())),
            checkpoint_every,
            bounds: CacheBounds { evict_after: Duration::from_mins(1), detectors: 100, memory: 1 << 30 },
            max_in_flight: 1_000,
        };
        let (exit, _) = ExitSignal::new();
        let suspects = Suspects::new(client.clone(), keys.clone(), NodeName::of_this_process("node"));
        let suspect_lock = std::sync::Arc::default();
        let peers = ShardPeers {
            writers,
            save: checkpointer.clone().recipient(),
            load: checkpointer.clone().recipient(),
            load_rows: checkpointer.clone().recipient(),
            delete_checkpoint: checkpointer.clone().recipient(),
            near: checkpointer.clone().recipient(),
            reopen: keeper.clone().recipient(),
            refuse: keeper.clone().recipient(),
            quarantine: keeper.clone().recipient(),
            exit,
            suspects,
            suspect_lock,
        };
        let reader = LogReader::new(connect_redis(&redis.url()).await, client, keys);
        let shard = start(Shard::new(options, peers, reader, metrics.clone()));
        let handle = ShardHandle {
            assign: shard.clone().recipient(),
            revoke: shard.clone().recipient(),
            hand_over: shard.clone().recipient(),
        };
        keeper.send(Join { shards: vec![handle] }).await.unwrap();
        Self { _directory: directory, redis, postgres, _shard: shard, checkpointer, metrics }
    }

    /// Lets the commit of the next entry fail, so that the shard drops its detectors.
    pub(crate) async fn lose_epoch(&self) {
        let mut connection = connect_postgres(&self.postgres.url()).await.unwrap();
        sql_query("UPDATE partitions SET epoch = epoch + 1").execute(&mut connection).await.unwrap();
    }

    /// Appends a configuration of the detectors.
    pub(crate) async fn configure(&self, config: DetectorConfig) {
        let (client, keys) = (connect_redis(&self.redis.url()).await, Keys::default());
        let mut appender =
            LogAppender::open(&client, &keys, PartitionId(0), "test", opening(1_000)).await.unwrap();
        let json = DetectorConfigs::new(config, Vec::new()).to_json().to_string();
        let bytes = appender.pack(&mut Entry::of_control(START, Control::Detectors(json)));
        assert_eq!(appender.append(&client, &keys, &bytes, 1_000).await.unwrap(), AppendOutcome::Appended);
    }

    /// Appends readings of one field, several to an entry.
    pub(crate) async fn append(&self, readings: &[(&str, i64, f64)]) {
        self.append_in(7, readings).await;
    }

    /// Appends readings of one field, so many to an entry.
    pub(crate) async fn append_in(&self, records: usize, readings: &[(&str, i64, f64)]) {
        let client = connect_redis(&self.redis.url()).await;
        let keys = Keys::default();
        let mut appender =
            LogAppender::open(&client, &keys, PartitionId(0), "test", opening(1_000)).await.unwrap();
        for readings in readings.chunks(records) {
            let records = readings.iter().map(|&(sensor, i, value)| record(sensor, i, value)).collect();
            let bytes = appender.pack(&mut Entry { predecessor: Position::default(), records });
            assert_eq!(
                appender.append(&client, &keys, &bytes, 1_000).await.unwrap(),
                AppendOutcome::Appended
            );
        }
    }

    /// Waits until there are `count` rows.
    pub(crate) async fn until_stored(&self, count: i64) {
        #[derive(QueryableByName)]
        struct Stored {
            #[diesel(sql_type = BigInt)]
            rows: i64,
        }
        let (started, mut connection) =
            (Instant::now(), connect_postgres(&self.postgres.url()).await.unwrap());
        loop {
            let stored: Stored =
                sql_query("SELECT count(*) AS rows FROM readings").get_result(&mut connection).await.unwrap();
            if stored.rows == count {
                return;
            }
            assert!(started.elapsed() < Duration::from_mins(3), "{} rows of {count}", stored.rows);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a sensor has `count` rows, and returns them.
    pub(crate) async fn rows(&self, sensor: &str, count: usize) -> Vec<Row> {
        let started = Instant::now();
        loop {
            let rows: Vec<Row> = sql_query(
                "SELECT r.ts::text, coalesce(r.seq, 0) AS seq, coalesce(r.score::text, '') AS score, r.flags::int8
                 FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = $1 ORDER BY r.ts",
            )
            .bind::<Text, _>(sensor)
            .load(&mut connect_postgres(&self.postgres.url()).await.unwrap())
            .await
            .unwrap();
            if rows.len() == count {
                return rows;
            }
            assert!(started.elapsed() < Duration::from_mins(1), "{} rows of {count}", rows.len());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

pub(crate) fn detector() -> DetectorConfig {
    DetectorConfig { trees: 3, points: 32, warm_up: 16, ..DetectorConfig::default() }
}

/// Starts an actor under a supervision that allows many restarts.
pub(crate) fn start<A: Actor<Context = Context<A>> + Supervised>(actor: A) -> Addr<A> {
    let (exit, _) = ExitSignal::new();
    let intensity = Intensity::new(1_000, Duration::from_secs(1));
    let restarts = IntCounter::new("restarts", "restarts").unwrap();
    start_here(actor, Supervision { actor: "test", intensity, exit, restarts })
}

pub(crate) fn opening(earliest: u64) -> Opening {
    Opening { earliest, ingress_epoch: 0, acknowledged: Position::default() }
}

/// Migrates the database. The migrations of diesel block, so they need a runtime with threads.
pub(crate) fn migrate(url: String) {
    let migration = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = connect_postgres(&url).await.unwrap();
            thicket_schema::postgres::migrate(connection).await.unwrap();
        });
    });
    migration.join().unwrap();
}

pub(crate) fn record(sensor: &str, i: i64, value: f64) -> Record {
    let reading = Reading {
        sensor: SensorName::new(sensor).unwrap(),
        ts: Timestamp(START + i * 1_000_000),
        stamped: false,
        fields: FieldSet::new(vec!["value".to_owned()]).unwrap(),
        values: vec![value],
    };
    Record { received: START, redelivered: false, item: Item::Reading(reading) }
}

#[derive(Debug, PartialEq, QueryableByName)]
pub(crate) struct Row {
    #[diesel(sql_type = Text)]
    pub(crate) ts: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) seq: i64,
    #[diesel(sql_type = Text)]
    pub(crate) score: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) flags: i64,
}

pub(crate) fn value(i: i64) -> f64 {
    ((i * 7_919) % 101) as f64
}
