//! Measures the cost of a restore and of checkpoints, on a private Redis and PostgreSQL, for
//! several numbers of readings between two checkpoints of a sensor.
//!
//! Each sensor has a checkpoint in Redis and between 1 and `every` rows after it in PostgreSQL,
//! evenly distributed over the sensors. The detectors are restored one after the other: once right
//! after a start of PostgreSQL, when its cache is empty, and once more. Every replayed score must
//! equal the stored score.
//!
//! `cargo bench -p thicket-actors --bench restore`

use std::time::{Duration, Instant};

use actix_rt::System;
use cpu_time::ProcessTime;
use diesel::pg::data_types::PgTimestamp;
use diesel::sql_types::{Array, BigInt, Double, Integer, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use prometheus::{IntCounter, Registry};
use thicket_actors::checkpoint::{BudgetOptions, Checkpointer};
use thicket_actors::detector::{RestoreFacts, restore};
use thicket_actors::messages::Load;
use thicket_actors::metrics::Metrics;
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, start_here};
use thicket_compose::{Postgres, Redis};
use thicket_detector::{Detector, DetectorConfig, NamedConfig};
use thicket_schema::{Checkpoint, FieldSet, Keys, PartitionId, SensorName, Timestamp};
use thicket_store::postgres::{PostgresPool, connect_postgres, postgres_pool};
use thicket_store::redis::{CheckpointStore, connect_redis};

type Failure = Box<dyn std::error::Error>;

const SENSORS: usize = 200;
/// Readings of each sensor before its checkpoint. They fill the forests of the default profile.
const BEFORE: usize = 2_500;
const START: i64 = 1_790_000_000_000_000;
const SECOND: i64 = 1_000_000;
/// 2000-01-01, in µs since the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
const TICKS_PER_SECOND: f64 = 100.0;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let redis = Redis::start(&directory.path().join("redis"))?;
    let mut postgres = Postgres::start(&directory.path().join("postgres"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        thicket_schema::postgres::migrate(connect_postgres(&postgres.url()).await?).await?;
        Ok::<(), Failure>(())
    })?;
    let config =
        |trees, points, shingle| DetectorConfig { trees, points, shingle, ..DetectorConfig::default() };
    let sizes = [
        ("default", 1, config(0, 0, 1)),
        ("default", 3, config(0, 0, 1)),
        ("50 x 256 x 8", 1, config(50, 256, 8)),
    ];
    println!("{SENSORS} sensors; CPU of engine, PostgreSQL and Redis together");
    println!(
        "| detector | fields | every | checkpoint | bytes a reading | p50 | p99 | p99, cold | CPU a sensor |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (name, fields, config) in sizes {
        for every in [256, 512, 1_024] {
            let bench = Bench { fields, every, config: config.clone().into() };
            let bytes = System::new().block_on(bench.fill(&postgres.url(), &redis.url()))?;
            postgres.stop()?;
            postgres.restart_on_same_port()?;
            let cold = System::new().block_on(bench.restore_all(&postgres.url(), &redis.url()))?;
            let warm = System::new().block_on(bench.restore_all(&postgres.url(), &redis.url()))?;
            println!(
                "| {name} | {fields} | {every} | {} KB | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |",
                bytes / 1_024,
                bytes / every,
                warm.at(0.5),
                warm.at(0.99),
                cold.at(0.99),
                warm.cpu.as_secs_f64() * 1e3 / SENSORS as f64,
            );
        }
    }
    Ok(())
}

/// One case of the measurement.
struct Bench {
    fields: usize,
    /// Readings between two checkpoints.
    every: usize,
    config: NamedConfig,
}

/// The restore time of each sensor, sorted, and the CPU time of the engine and PostgreSQL together.
struct Outcome {
    millis: Vec<f64>,
    cpu: Duration,
}

impl Outcome {
    fn at(&self, quantile: f64) -> f64 {
        self.millis[((self.millis.len() - 1) as f64 * quantile).round() as usize]
    }
}

impl Bench {
    fn sensor(&self, number: usize) -> SensorName {
        #[expect(clippy::unwrap_used, reason = "the name is valid")]
        SensorName::new(&format!("{:x}/{}/{}/{number}", self.config.identity, self.fields, self.every))
            .unwrap()
    }

    fn names(&self) -> Vec<String> {
        (0..self.fields).map(|field| format!("field{field:02}")).collect()
    }

    /// Scores readings, and stores a checkpoint of each sensor and the rows after it. Returns the
    /// mean size of a checkpoint in bytes.
    async fn fill(&self, postgres: &str, redis: &str) -> Result<usize, Failure> {
        let store = CheckpointStore::new(connect_redis(redis).await, Keys::default());
        let mut connection = connect_postgres(postgres).await?;
        sql_query("INSERT INTO configs (id, settings) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(self.config.identity.cast_signed())
            .bind::<Text, _>(self.config.config.to_json())
            .execute(&mut connection)
            .await?;
        let names = self.names();
        let fields = FieldSet::new(names.clone())?;
        sql_query("INSERT INTO field_sets (id, names) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(fields.id())
            .bind::<Array<Text>, _>(&names)
            .execute(&mut connection)
            .await?;
        sql_query("SELECT ensure_day_partitions(ARRAY['2026-09-21', '2026-09-22']::date[])")
            .execute(&mut connection)
            .await?;
        let mut bytes = 0;
        for number in 0..SENSORS {
            let sensor = self.sensor(number);
            let mut detector = Detector::new(sensor.as_str(), &self.config.config);
            for i in 0..BEFORE {
                detector.apply(ts(i), &names, &values(number, i, self.fields))?;
            }
            let state = detector.snapshot();
            let newest = detector.newest().map(Timestamp);
            let (seq, config) = (detector.seq(), self.config.fingerprint);
            let checkpoint =
                Checkpoint { sensor: sensor.as_str().to_owned(), seq, newest, era: 0, config, state };
            bytes += store.save(PartitionId(0), &sensor, &checkpoint, 0.0).await?.bytes;
            let last_stored = detector.apply(ts(BEFORE), &names, &values(number, BEFORE, self.fields))?;
            let mut rows = vec![(BEFORE, last_stored.score)];
            for i in BEFORE + 1..BEFORE + self.every * number / SENSORS {
                let score = detector.apply(ts(i), &names, &values(number, i, self.fields))?.score;
                rows.push((i, score));
            }
            self.store(&mut connection, number, &rows, fields.id()).await?;
        }
        Ok(bytes / SENSORS)
    }

    async fn store(
        &self,
        connection: &mut AsyncPgConnection,
        number: usize,
        rows: &[(usize, f64)],
        field_set: i64,
    ) -> Result<(), Failure> {
        let flat: Vec<f64> = rows.iter().flat_map(|&(i, _)| values(number, i, self.fields)).collect();
        let column = |of: fn(usize) -> i64| rows.iter().map(|&(i, _)| of(i)).collect::<Vec<i64>>();
        let times: Vec<PgTimestamp> =
            rows.iter().map(|&(i, _)| PgTimestamp(ts(i) - POSTGRES_EPOCH)).collect();
        let first: Vec<i32> = (0..rows.len()).map(|row| (row * self.fields) as i32 + 1).collect();
        sql_query(
            r#"INSERT INTO readings (sensor, ts, seq, field_set, "values", score, flags, config)
               SELECT $1, r.ts, r.seq, $2, ($3::float8[])[r.first:r.first + $4 - 1], r.score, 0, $5
               FROM UNNEST($6::timestamptz[], $7::int8[], $8::float8[], $9::int4[]) AS r (ts, seq, score, first)"#,
        )
        .bind::<BigInt, _>(self.sensor(number).id().0)
        .bind::<BigInt, _>(field_set)
        .bind::<Array<Double>, _>(flat)
        .bind::<Integer, _>(self.fields as i32)
        .bind::<BigInt, _>(self.config.identity.cast_signed())
        .bind::<Array<Timestamptz>, _>(times)
        .bind::<Array<BigInt>, _>(column(|i| i as i64 + 1))
        .bind::<Array<Double>, _>(rows.iter().map(|&(_, score)| score).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(first)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Restores the detector of every sensor, one after the other.
    async fn restore_all(&self, postgres: &str, redis: &str) -> Result<Outcome, Failure> {
        let pool = postgres_pool(postgres, 4)?;
        let client = connect_redis(redis).await;
        let store = CheckpointStore::new(client.clone(), Keys::default());
        let metrics = Metrics::new(&Registry::new())?;
        let (exit, _exits) = ExitSignal::new();
        let (intensity, restarts) =
            (Intensity::new(1, Duration::from_secs(1)), IntCounter::new("restarts", "restarts")?);
        let supervision = Supervision { actor: "checkpointer", intensity, exit, restarts };
        let budget = BudgetOptions { memory: None, partitions: 1 };
        let checkpointer = start_here(Checkpointer::new(store, pool.clone(), budget, metrics), supervision);
        let config = std::sync::Arc::new(self.config.clone());
        let servers_before = servers_cpu(&pool).await?;
        let cpu = ProcessTime::now();
        let mut millis = Vec::with_capacity(SENSORS);
        // In another order than that of the writes.
        for number in (0..SENSORS).map(|i| i * 77 % SENSORS) {
            let sensor = self.sensor(number);
            let began = Instant::now();
            let load = Load {
                partition: PartitionId(0),
                sensor: sensor.clone(),
                config: config.clone(),
                use_checkpoint: true,
                is_reshaped: false,
            };
            let history = checkpointer.send(load).await?;
            let (_, restored) =
                restore(&RestoreFacts { sensor: &sensor, config: &config, history: &history });
            millis.push(began.elapsed().as_secs_f64() * 1e3);
            let expected = (self.every * number / SENSORS).max(1) as u64;
            if restored.mismatches > 0 || restored.replayed != expected {
                return Err(format!("{sensor}: {restored:?}, not {expected} rows").into());
            }
        }
        let cpu = cpu.elapsed() + servers_cpu(&pool).await?.saturating_sub(servers_before);
        millis.sort_by(f64::total_cmp);
        Ok(Outcome { millis, cpu })
    }
}

fn ts(i: usize) -> i64 {
    START + i as i64 * SECOND
}

/// Returns the values of a reading: a wave with noise.
fn values(sensor: usize, i: usize, fields: usize) -> Vec<f64> {
    let noise = |field: usize| {
        let bytes = [sensor as u64, i as u64, field as u64].map(u64::to_le_bytes).concat();
        (xxhash_rust::xxh3::xxh3_64(&bytes) % 10_000) as f64 / 10_000.0
    };
    (0..fields).map(|field| 50.0 + 5.0 * (i as f64 / 40.0).sin() + noise(field)).collect()
}

/// Returns the CPU time of all client backends of PostgreSQL.
async fn servers_cpu(pool: &PostgresPool) -> Result<Duration, Failure> {
    #[derive(QueryableByName)]
    struct Backend {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let backends: Vec<Backend> =
        sql_query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            .load(&mut *pool.get().await?)
            .await?;
    let mut seconds = 0.0;
    for Backend { pid } in backends {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit_once(") ").ok_or("no process name")?.1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        seconds += (fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS_PER_SECOND;
    }
    Ok(Duration::from_secs_f64(seconds))
}
