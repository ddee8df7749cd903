//! Starts the actors, from the writer up to the source, and stops them in the order of the data
//! flow.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Arbiter, ArbiterHandle};
use anyhow::Context as _;
use futures_util::future::join_all;
use thicket_actors::checkpoint::{BudgetOptions, Checkpointer, LOADS_IN_FLIGHT};
use thicket_actors::messages::Drain;
use thicket_actors::metrics::Metrics;
use thicket_actors::ownership::{Join, PartitionKeeper, Renewal, RenewalOptions, ShardHandle};
use thicket_actors::queue::{QueueWriter, QueueWriterOptions};
use thicket_actors::shard::{CacheBounds, Shard, ShardOptions, ShardPeers};
use thicket_actors::source::{
    AdmissionLimits, IngressPeers, IntakeLimits, LogWriter, MqttIngress, SubscriptionKeys,
};
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, Watchdog, start_in_arbiter};
use thicket_actors::writer::{DeadLetterLog, PostgresWriter, PostgresWriterOptions};
use thicket_schema::Keys;
use thicket_store::complaints;
use thicket_store::deployment::{OtherDeployment, check_same};
use thicket_store::postgres::{
    DeploymentError, check_deployment, connect_postgres, deployment_name, postgres_pool, register_routes,
};
use thicket_store::redis::{
    CheckpointStore, Client, Leases, LogReader, NodeName, RedisError, Suspects, connect_redis, disconnect,
    is_importing, mark_deployment, marked_deployment, try_connect_redis,
};
use thicket_store::retry::{Backoff, until_ok};

use crate::brokers::brokers;
use crate::config::Config;
use crate::{migrate, stores};

/// Maximum number of connections that read the history of detectors and claim partitions: no claim
/// waits for the loads of histories.
const READ_CONNECTIONS: usize = LOADS_IN_FLIGHT + 1;
/// How long to wait for the answers of PostgreSQL at the start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of restarts of an actor within a minute. After one more, the node gives up.
const RESTARTS: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_mins(1);
/// The intake may take a part of `shutdown.deadline`: one of this number.
const INTAKE_SHARE: u32 = 3;

/// The running actors.
pub(crate) struct Topology {
    ingress: Addr<MqttIngress>,
    queue: Addr<QueueWriter>,
    shards: Vec<Addr<Shard>>,
    writers: Vec<Addr<PostgresWriter>>,
    checkpointer: Addr<Checkpointer>,
    keeper: Addr<PartitionKeeper>,
    renewal: Renewal,
    arbiters: Vec<Arbiter>,
    deployment: String,
    node: NodeName,
}

/// Starts all actors. Waits for PostgreSQL and Redis without a limit; fails only if waiting does
/// not help.
pub(crate) async fn start(
    config: &Config,
    metrics: &Metrics,
    exit: &ExitSignal,
    watchdog: &Watchdog,
) -> anyhow::Result<Topology> {
    let keys = Keys::new(&config.redis.prefix)?;
    wait_for_tables(config).await?;
    // Before the deployment is read, which can write a row that a repeated import would find.
    let marked = refuse_half_import(config, &keys).await?;
    let deployment = read_deployment(config, &keys, marked.as_deref()).await?;
    // Another deployment may have started here meanwhile.
    mark_redis(config, &keys, &deployment).await?;
    let node = node_name(config);
    let options = RenewalOptions {
        server: config.redis.server(),
        node: node.clone(),
        nodes: keys.nodes(),
        ttl: config.shards.lease,
    };
    let renewal = Renewal::start(options, metrics.leases.clone())?;
    let starter = Starter { config, metrics, exit, node, renewal, keys, deployment };

    let store_arbiter = Arbiter::new();
    let stores = starter.start_stores(&store_arbiter.handle()).await?;
    let count = config.shards.resolved_count(config.queue.partitions);
    let shard_arbiters: Vec<Arbiter> = (0..shard_threads(count)).map(|_| Arbiter::new()).collect();
    watchdog.watch(&store_arbiter.handle(), "stores");
    for (number, arbiter) in shard_arbiters.iter().enumerate() {
        watchdog.watch(&arbiter.handle(), &format!("shards {number}"));
    }
    let shards = starter.start_shards(count, &shard_arbiters, &stores).await?;
    let shard_handles = shards.iter().map(shard_handle).collect();
    stores.keeper.send(Join { shards: shard_handles }).await.context("the partition keeper is gone")?;
    let ingress_arbiter = Arbiter::new();
    watchdog.watch(&ingress_arbiter.handle(), "ingress");
    let (queue, ingress) = starter.start_ingress(&ingress_arbiter.handle()).await?;

    tracing::info!(shards = count, partitions = config.queue.partitions, "running");
    let arbiters = [store_arbiter, ingress_arbiter].into_iter().chain(shard_arbiters).collect();
    let Stores { writers, checkpointer, keeper } = stores;
    let Starter { deployment, node, renewal, .. } = starter;
    Ok(Topology {
        ingress,
        queue,
        shards,
        writers,
        checkpointer,
        keeper,
        renewal,
        arbiters,
        deployment,
        node,
    })
}

fn shard_handle(shard: &Addr<Shard>) -> ShardHandle {
    ShardHandle {
        assign: shard.clone().recipient(),
        revoke: shard.clone().recipient(),
        hand_over: shard.clone().recipient(),
    }
}

/// Starts actors. A Redis client runs on the runtime that created it, so each client is created on
/// the arbiter that uses it.
struct Starter<'a> {
    config: &'a Config,
    metrics: &'a Metrics,
    exit: &'a ExitSignal,
    node: NodeName,
    renewal: Renewal,
    keys: Keys,
    /// The name of the deployment.
    deployment: String,
}

/// The actors that write to the stores or read from them.
struct Stores {
    writers: Vec<Addr<PostgresWriter>>,
    checkpointer: Addr<Checkpointer>,
    keeper: Addr<PartitionKeeper>,
}

impl Starter<'_> {
    async fn start_stores(&self, arbiter: &ArbiterHandle) -> anyhow::Result<Stores> {
        let Self { config, metrics, .. } = *self;
        let redis = self.redis(arbiter).await?;
        let pool = postgres_pool(config.postgres.server(), READ_CONNECTIONS)?;
        let dead_letters = DeadLetterLog::default();
        let writer = |_| {
            let options = PostgresWriterOptions {
                server: config.postgres.server(),
                max_rows: config.postgres.max_rows,
                dead_letters: dead_letters.clone(),
                lease: config.shards.lease,
            };
            let metrics = metrics.clone();
            start_in_arbiter(arbiter, self.supervise("postgres_writer"), move |_| {
                PostgresWriter::new(options, metrics)
            })
        };
        let writers = (0..config.postgres.writers).map(writer).collect();

        let store = CheckpointStore::new(redis.clone(), self.keys.clone());
        let (reading, counting) = (pool.clone(), metrics.clone());
        let budget =
            BudgetOptions { memory: config.checkpoint.memory.bytes(), partitions: config.queue.partitions };
        let checkpointer = start_in_arbiter(arbiter, self.supervise("checkpointer"), move |_| {
            Checkpointer::new(store, reading, budget, counting)
        });
        let (leases, keys, metrics) = (self.leases(redis), self.keys.clone(), metrics.clone());
        let (partitions, renewal) = (config.queue.partitions, self.renewal.clone());
        let keeper = start_in_arbiter(arbiter, self.supervise("partition_keeper"), move |_| {
            PartitionKeeper::new(partitions, leases, renewal, keys, pool, metrics)
        });
        Ok(Stores { writers, checkpointer, keeper })
    }

    async fn start_shards(
        &self,
        count: u16,
        arbiters: &[Arbiter],
        stores: &Stores,
    ) -> anyhow::Result<Vec<Addr<Shard>>> {
        let config = self.config;
        let detectors = Arc::new(config.detector_configs()?);
        let suspect_lock = Arc::new(tokio::sync::Mutex::new(()));
        let mut shards = Vec::new();
        for number in 0..count {
            let arbiter = arbiters[usize::from(number) % arbiters.len()].handle();
            let reader =
                LogReader::new(self.redis(&arbiter).await?, self.redis(&arbiter).await?, self.keys.clone());
            let options = ShardOptions {
                number,
                detectors: detectors.clone(),
                checkpoint_every: config.checkpoint.every,
                bounds: CacheBounds {
                    evict_after: config.shards.evict_after,
                    detectors: (config.shards.max_detectors / usize::from(count)).max(1),
                    memory: config.shards.resolved_memory() / u64::from(count),
                },
                max_in_flight: (config.shards.max_in_flight / u32::from(count)).max(1),
            };
            let peers = ShardPeers {
                writers: stores.writers.iter().map(|writer| writer.clone().recipient()).collect(),
                save: stores.checkpointer.clone().recipient(),
                load: stores.checkpointer.clone().recipient(),
                load_rows: stores.checkpointer.clone().recipient(),
                delete_checkpoint: stores.checkpointer.clone().recipient(),
                near: stores.checkpointer.clone().recipient(),
                reopen: stores.keeper.clone().recipient(),
                refuse: stores.keeper.clone().recipient(),
                quarantine: stores.keeper.clone().recipient(),
                exit: self.exit.clone(),
                suspects: Suspects::new(self.redis(&arbiter).await?, self.keys.clone(), self.node.clone()),
                suspect_lock: Arc::clone(&suspect_lock),
            };
            let metrics = self.metrics.clone();
            shards.push(start_in_arbiter(&arbiter, self.supervise("shard"), move |_| {
                Shard::new(options, peers, reader, metrics)
            }));
        }
        Ok(shards)
    }

    async fn start_ingress(
        &self,
        arbiter: &ArbiterHandle,
    ) -> anyhow::Result<(Addr<QueueWriter>, Addr<MqttIngress>)> {
        let config = self.config;
        let redis = self.redis(arbiter).await?;
        let brokers = brokers(config, &self.deployment)?;
        let redelivery = brokers.iter().map(|broker| broker.redelivery.clone()).collect();
        // The ingress starts on its arbiter later. Until then `/readyz` must not find every broker
        // connected.
        for broker in &brokers {
            self.metrics.mqtt_connected.with_label_values(&[&broker.options.name]).set(0);
        }

        let options = QueueWriterOptions {
            linger: config.queue.linger,
            max_records: config.queue.max_records,
            max_backlog: config.queue.max_backlog,
            producer: self.node.to_string(),
            partitions: config.queue.partitions,
        };
        let (log, keys) = (redis.clone(), self.keys.clone());
        let (metrics, exit) = (self.metrics.clone(), self.exit.clone());
        let queue = start_in_arbiter(arbiter, self.supervise("queue_writer"), move |_| {
            QueueWriter::new(log, keys, options, redelivery, metrics, exit)
        });

        let writer = LogWriter {
            append: queue.clone().recipient(),
            controls: queue.clone().recipient(),
            fence: queue.clone().recipient(),
        };
        let peers = IngressPeers {
            writer,
            leases: self.leases(redis.clone()),
            renewal: self.renewal.clone(),
            keys: SubscriptionKeys::new(&self.keys),
            redis: (redis, self.keys.clone()),
            pool: postgres_pool(config.postgres.server(), 1)?,
            limits: intake_limits(config),
            detectors: config.detector_configs()?.to_json(),
            deployment: self.deployment.clone(),
        };
        let metrics = self.metrics.clone();
        let ingress = start_in_arbiter(arbiter, self.supervise("mqtt_ingress"), move |_| {
            MqttIngress::new(brokers, peers, &metrics)
        });
        Ok((queue, ingress))
    }

    fn supervise(&self, actor: &'static str) -> Supervision {
        Supervision {
            actor,
            intensity: Intensity::new(RESTARTS, RESTARTS_WITHIN),
            exit: self.exit.clone(),
            restarts: self.metrics.actor_restarts.with_label_values(&[actor]),
        }
    }

    fn leases(&self, redis: Client) -> Leases {
        Leases::new(redis, self.node.clone(), self.config.shards.lease)
    }

    /// A connection to Redis whose tasks run on the given arbiter.
    async fn redis(&self, arbiter: &ArbiterHandle) -> anyhow::Result<Client> {
        let server = self.config.redis.server();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        arbiter.spawn(async move {
            // The receiver is gone if the engine was told to stop meanwhile.
            let _ = sender.send(connect_redis(server).await);
        });
        receiver.await.context("an arbiter ended while the engine started")
    }
}

impl Topology {
    /// The id that tells this deployment from others.
    pub(crate) fn deployment(&self) -> &str {
        &self.deployment
    }

    /// The name of this node.
    pub(crate) fn node(&self) -> &NodeName {
        &self.node
    }

    /// The ingress, which publishes changes of the configuration.
    pub(crate) fn ingress(&self) -> Addr<MqttIngress> {
        self.ingress.clone()
    }

    /// The shards.
    pub(crate) fn shards(&self) -> Vec<Addr<Shard>> {
        self.shards.clone()
    }

    /// Tells the other nodes that this one leaves, and stops in the order of the data flow. The
    /// ingress takes no more messages; the messages that it took are appended, acknowledged, scored
    /// and committed; every detector is saved; the leases are released.
    ///
    /// A full log takes messages again once enough of it is committed, which may take longer than
    /// `deadline`. After a third of it, the messages that are not in the log are left to the broker.
    pub(crate) async fn drain(self, deadline: Duration) {
        self.renewal.leave();
        let intake = async {
            let _ = self.ingress.send(Drain).await;
            let _ = self.queue.send(Drain).await;
        };
        if tokio::time::timeout(deadline / INTAKE_SHARE, intake).await.is_err() {
            tracing::warn!("the log does not take messages; the broker will deliver the last ones again");
        }
        // The shards wait until their checkpoints are written. From now on the checkpointer waits for no
        // store that is away.
        let shards = join_all(self.shards.iter().map(|shard| shard.send(Drain)));
        drop(tokio::join!(shards, self.checkpointer.send(Drain)));
        drop(join_all(self.writers.iter().map(|writer| writer.send(Drain))).await);
        let _ = self.checkpointer.send(Drain).await;
        let _ = self.keeper.send(Drain).await;
        for arbiter in self.arbiters {
            arbiter.stop();
        }
    }
}

/// Returns the mark of a deployment in Redis. Fails if Redis has the mark of an import that has not
/// ended, too: rows and keys may be missing.
async fn refuse_half_import(config: &Config, keys: &Keys) -> anyhow::Result<Option<String>> {
    let ask =
        async |redis: &Client| Ok((is_importing(redis, keys).await?, marked_deployment(redis, keys).await?));
    let (is_importing, marked) = ask_redis(config, ask).await;
    anyhow::ensure!(
        !is_importing,
        "an import has not ended; repeat it, or empty both servers and start again"
    );
    Ok(marked)
}

/// Marks Redis with the name of the deployment. Fails if it belongs to another one.
async fn mark_redis(config: &Config, keys: &Keys, name: &str) -> Result<(), OtherDeployment> {
    let marked = ask_redis(config, async |redis: &Client| mark_deployment(redis, keys, name).await).await;
    check_same(keys, Some(&marked), Some(name))
}

/// Asks Redis on a connection of its own, until it answers.
async fn ask_redis<T>(config: &Config, ask: impl AsyncFn(&Client) -> Result<T, RedisError>) -> T {
    let asked = async || {
        let redis = try_connect_redis(config.redis.server()).await?;
        let answer = ask(&redis).await;
        disconnect(&redis).await;
        answer
    };
    let warn = |error: &RedisError| {
        if let Some(repeated) = complaints::due("connect to redis", error) {
            tracing::warn!(
                repeated,
                "redis does not answer ({error}); waiting for it (start it, or set redis.url)"
            );
        }
    };
    until_ok(asked, warn).await
}

/// Waits for PostgreSQL, and refuses tables that this program does not know.
async fn wait_for_tables(config: &Config) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    loop {
        let server = config.postgres.server();
        match tokio::task::spawn_blocking(move || migrate::pending(&server)).await? {
            Ok(pending) if pending.is_empty() => return Ok(()),
            Ok(_) => anyhow::bail!("the tables are missing or out of date: run `thicket migrate`"),
            Err(error) => {
                if let Some(repeated) = complaints::due("connect to postgresql", &error) {
                    tracing::warn!(
                        repeated,
                        "postgresql does not answer ({error:#}); waiting for it (start it, or set postgres.url)"
                    );
                }
                backoff.wait().await;
            }
        }
    }
}

/// Returns the name of the deployment, which PostgreSQL knows, and adds routes that are new.
async fn read_deployment(config: &Config, keys: &Keys, marked: Option<&str>) -> anyhow::Result<String> {
    let routes = config.notify.routes()?;
    let routes: Vec<String> = routes.into_iter().map(|route| route.config.name).collect();
    let mut backoff = Backoff::default();
    loop {
        match tokio::time::timeout(ANSWER_TIMEOUT, check_and_read(config, keys, marked, &routes)).await {
            Ok(Ok(deployment)) => return Ok(deployment),
            // Only a person can solve this. All other errors may pass.
            Ok(Err(error @ (DeploymentError::PartitionsDiffer { .. } | DeploymentError::Other(_)))) => {
                return Err(error.into());
            }
            Ok(Err(error)) => warn_of_silence(&error),
            Err(error) => warn_of_silence(&error),
        }
        backoff.wait().await;
    }
}

fn warn_of_silence(error: &dyn Display) {
    if let Some(repeated) = complaints::due("read the deployment", error) {
        tracing::warn!(%error, repeated, "postgresql does not answer any more; trying again");
    }
}

/// Checks the deployment, and adds routes that are new: what happens from now on is for them. Writes
/// nothing into the database of another deployment than that of Redis.
async fn check_and_read(
    config: &Config,
    keys: &Keys,
    marked: Option<&str>,
    routes: &[String],
) -> Result<String, DeploymentError> {
    let mut connection = connect_postgres(config.postgres.server()).await?;
    let known = deployment_name(&mut connection).await?;
    check_same(keys, marked, known.as_deref())?;
    let id = check_deployment(&mut connection, config.queue.partitions).await?;
    register_routes(&mut connection, routes).await?;
    if marked.is_none() && known.is_some() {
        tracing::warn!("{}", stores::UNMARKED);
    }
    Ok(id)
}

/// The limits on what messages add.
fn intake_limits(config: &Config) -> IntakeLimits {
    let sensors = config.sensors;
    let admission = AdmissionLimits {
        max_sensors: sensors.max,
        new_per_second: sensors.new_per_second,
        new_at_once: sensors.new_at_once,
        max_field_sets: sensors.max_field_sets,
        max_fields: sensors.max_fields,
        max_name_bytes: sensors.max_name_bytes,
        new_days_per_hour: sensors.new_days_per_hour,
        new_days_at_once: sensors.new_days_at_once,
    };
    IntakeLimits { admission, dead_letters_per_second: config.dead_letters.max_per_second }
}

/// The number of threads for shards: one per shard, at most one per core.
fn shard_threads(shards: u16) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usize::from(shards).min(cores).max(1)
}

/// The name of this node in leases and in the log.
fn node_name(config: &Config) -> NodeName {
    let name = if config.node.name.is_empty() {
        std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
    } else {
        config.node.name.clone()
    };
    NodeName::of_this_process(&name)
}
