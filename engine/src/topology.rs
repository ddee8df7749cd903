//! Starts the actors, from the writer up to the source, and stops them in the order that data flows.

use std::time::Duration;

use actix::{Addr, Arbiter, ArbiterHandle};
use anyhow::Context as _;
use prometheus::IntCounter;
use thicket_actors::checkpoint::{CheckpointStore, Checkpointer, postgres_pool};
use thicket_actors::messages::Drain;
use thicket_actors::metrics::Metrics;
use thicket_actors::ownership::{Join, PartitionKeeper, check_deployment};
use thicket_actors::queue::{Leases, LogReader, QueueWriter, QueueWriterOptions, connect_redis};
use thicket_actors::shard::{Shard, ShardOptions, ShardPeers};
use thicket_actors::source::{DecodeOptions, MqttClient, MqttIngress, MqttOptions};
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, start_in_arbiter};
use thicket_actors::writer::{PostgresWriter, PostgresWriterOptions, connect_postgres};
use thicket_schema::{Keys, PayloadLimits};

use crate::config::Config;
use crate::migrate;

/// Connections that read detectors' pasts.
const READ_CONNECTIONS: usize = 4;
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Restarts of an actor that the node depends on, within a minute, before the node gives up.
const RESTARTS: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);

/// The running actors.
pub(crate) struct Topology {
    ingress: Addr<MqttIngress>,
    queue: Addr<QueueWriter>,
    shards: Vec<Addr<Shard>>,
    writers: Vec<Addr<PostgresWriter>>,
    checkpointer: Addr<Checkpointer>,
    keeper: Addr<PartitionKeeper>,
    arbiters: Vec<Arbiter>,
}

/// Starts everything. Waits for PostgreSQL and Redis for as long as it takes; fails only where waiting does not help.
pub(crate) async fn start(config: &Config, metrics: &Metrics, exit: &ExitSignal) -> anyhow::Result<Topology> {
    wait_for_tables(config).await?;

    let node = node_name(config);
    let keys = Keys::new(&config.redis.prefix)?;
    let store_arbiter = Arbiter::new();
    let ingress_arbiter = Arbiter::new();
    let supervise = |actor: &'static str| Supervision {
        actor,
        intensity: Intensity::new(RESTARTS, RESTARTS_WITHIN),
        exit: exit.clone(),
        restarts: counter(metrics, actor),
    };

    // fred runs a client on the runtime that made it, so each is made where it is used.
    let url = config.redis.url.clone();
    let store_redis = on(&store_arbiter.handle(), async move { connect_redis(&url).await }).await?;
    let pool = postgres_pool(&config.postgres.url, READ_CONNECTIONS)?;

    let writers: Vec<Addr<PostgresWriter>> = (0..config.postgres.writers)
        .map(|_| {
            let options = PostgresWriterOptions {
                url: config.postgres.url.clone(),
                max_rows: config.postgres.max_rows,
            };
            let metrics = metrics.clone();
            start_in_arbiter(&store_arbiter.handle(), supervise("postgres_writer"), move |_| {
                PostgresWriter::new(options, metrics)
            })
        })
        .collect();
    let checkpointer = {
        let (store, pool, metrics) =
            (CheckpointStore::new(store_redis.clone(), keys.clone()), pool.clone(), metrics.clone());
        start_in_arbiter(&store_arbiter.handle(), supervise("checkpointer"), move |_| {
            Checkpointer::new(store, pool, metrics)
        })
    };
    let leases = Leases::new(store_redis.clone(), node.clone(), config.shards.lease);
    let keeper = {
        let (partitions, leases, keys) = (config.queue.partitions, leases, keys.clone());
        let (pool, metrics) = (pool.clone(), metrics.clone());
        start_in_arbiter(&store_arbiter.handle(), supervise("partition_keeper"), move |_| {
            PartitionKeeper::new(partitions, leases, keys, pool, metrics)
        })
    };

    let count = config.shards.resolved_count(config.queue.partitions);
    let shard_arbiters: Vec<Arbiter> = (0..shard_threads(count)).map(|_| Arbiter::new()).collect();
    let detectors = config.detector_configs()?;
    let mut shards = Vec::new();
    for number in 0..count {
        let arbiter = shard_arbiters[usize::from(number) % shard_arbiters.len()].handle();
        let url = config.redis.url.clone();
        let (blocking, redis) =
            on(&arbiter, async move { (connect_redis(&url).await, connect_redis(&url).await) }).await?;
        let reader = LogReader::new(blocking, redis, keys.clone());
        let options = ShardOptions {
            number,
            detectors: detectors.clone(),
            checkpoint_every: config.checkpoint.every,
            retire_after: config.shards.retire_after,
            max_resident: (config.shards.max_resident / usize::from(count)).max(1),
            max_in_flight: (config.shards.max_in_flight / u32::from(count)).max(1),
        };
        let peers = ShardPeers {
            writers: writers.clone(),
            checkpointer: checkpointer.clone(),
            keeper: keeper.clone(),
            exit: exit.clone(),
        };
        let metrics = metrics.clone();
        shards.push(start_in_arbiter(&arbiter, supervise("shard"), move |_| {
            Shard::new(options, peers, reader, metrics)
        }));
    }
    keeper.send(Join { shards: shards.clone() }).await.context("the partition keeper is gone")?;

    let url = config.redis.url.clone();
    let ingress_redis = on(&ingress_arbiter.handle(), async move { connect_redis(&url).await }).await?;
    let (mqtt, decode) = (mqtt_options(config)?, decode_options(config)?);
    let client = MqttClient::new(&mqtt);
    let connection = client.connection();
    let queue = {
        let options = QueueWriterOptions {
            linger: config.queue.linger,
            max_records: config.queue.max_records,
            max_backlog: config.queue.max_backlog,
            nonce: node.clone(),
        };
        let (redis, keys, connection) = (ingress_redis.clone(), keys.clone(), connection.clone());
        let (metrics, exit) = (metrics.clone(), exit.clone());
        start_in_arbiter(&ingress_arbiter.handle(), supervise("queue_writer"), move |_| {
            QueueWriter::new(redis, keys, options, connection, metrics, exit)
        })
    };
    let ingress = {
        let leases = Leases::new(ingress_redis, node, config.shards.lease);
        let lease_key = keys.ingress_lease(&config.mqtt.client_id);
        let (queue, metrics) = (queue.clone(), metrics.clone());
        start_in_arbiter(&ingress_arbiter.handle(), supervise("mqtt_ingress"), move |_| {
            MqttIngress::new(client, connection, mqtt, decode, queue, leases, lease_key, metrics)
        })
    };
    tracing::info!(shards = count, partitions = config.queue.partitions, "running");
    let arbiters = [store_arbiter, ingress_arbiter].into_iter().chain(shard_arbiters).collect();
    Ok(Topology { ingress, queue, shards, writers, checkpointer, keeper, arbiters })
}

impl Topology {
    /// Stops in the order that data flows: no more messages; what was taken is appended, acknowledged, scored, committed;
    /// every detector saved; the leases given back.
    pub(crate) async fn drain(self) {
        let _ = self.ingress.send(Drain).await;
        let _ = self.queue.send(Drain).await;
        drop(futures_util::future::join_all(self.shards.iter().map(|shard| shard.send(Drain))).await);
        drop(futures_util::future::join_all(self.writers.iter().map(|writer| writer.send(Drain))).await);
        let _ = self.checkpointer.send(Drain).await;
        let _ = self.keeper.send(Drain).await;
        for arbiter in self.arbiters {
            arbiter.stop();
        }
    }
}

/// Waits for PostgreSQL, and refuses tables that this binary does not know.
async fn wait_for_tables(config: &Config) -> anyhow::Result<()> {
    loop {
        let url = config.postgres.url.clone();
        match tokio::task::spawn_blocking(move || migrate::pending(&url)).await? {
            Ok(pending) if pending.is_empty() => break,
            Ok(_) => anyhow::bail!("the tables are missing or out of date: run `thicket migrate`"),
            Err(error) => {
                tracing::warn!(
                    "postgresql does not answer ({error:#}); waiting for it (start it, or set postgres.url)"
                );
                tokio::time::sleep(STORE_RETRY).await;
            }
        }
    }
    let mut connection = connect_postgres(&config.postgres.url).await?;
    Ok(check_deployment(&mut connection, config.queue.partitions).await?)
}

/// Makes a value on another arbiter, where the tasks that it spawns are to run.
async fn on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    make: impl Future<Output = T> + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    arbiter.spawn(async move { drop(sender.send(make.await)) });
    receiver.await.context("an arbiter ended while the engine started")
}

/// One thread for each shard, but not more than there are cores.
fn shard_threads(shards: u16) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usize::from(shards).min(cores).max(1)
}

fn counter(metrics: &Metrics, actor: &str) -> IntCounter {
    metrics.actor_restarts.with_label_values(&[actor])
}

/// A name that no other process has: it is what leases and the log know the node by.
fn node_name(config: &Config) -> String {
    let name = if config.node.name.is_empty() {
        std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
    } else {
        config.node.name.clone()
    };
    let started = chrono::Utc::now().timestamp_micros();
    format!("{name}/{}/{started:x}", std::process::id())
}

fn mqtt_options(config: &Config) -> anyhow::Result<MqttOptions> {
    let mqtt = &config.mqtt;
    let (host, port) = mqtt.address()?;
    let credentials = (!mqtt.username.is_empty()).then(|| (mqtt.username.clone(), mqtt.password.clone()));
    Ok(MqttOptions {
        host,
        port,
        client_id: mqtt.client_id.clone(),
        credentials,
        topics: mqtt.topics.clone(),
        keep_alive: mqtt.keep_alive,
        max_in_flight: mqtt.max_in_flight,
    })
}

fn decode_options(config: &Config) -> anyhow::Result<DecodeOptions> {
    let mqtt = &config.mqtt;
    let limits = PayloadLimits {
        max_bytes: mqtt.max_payload_bytes,
        max_fields: mqtt.max_fields,
        max_readings: mqtt.max_readings,
    };
    Ok(DecodeOptions {
        partitions: config.queue.partitions,
        templates: mqtt.topic_templates()?,
        limits,
        timestamp_keys: mqtt.timestamp_keys.clone(),
        max_future: mqtt.max_future,
        max_age: mqtt.max_age,
    })
}
