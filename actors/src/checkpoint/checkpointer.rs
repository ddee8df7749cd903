//! The actor between detectors and the stores of their past.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, ResponseFuture,
    Supervised, WrapFuture as _,
};
use thicket_schema::{Checkpoint, SensorName};
use tokio::sync::oneshot;

use thicket_detector::NamedConfig;
use thicket_protocol::checkpoint::is_ahead;
use thicket_store::postgres::{
    CheckpointFacts, FieldSets, PostgresPool, StoreError, StoredReading, applied_labels, newest_of_others,
    rows_after, rows_up_to, stored_configs,
};
use thicket_store::redis::{CheckpointStore, RedisError, Stored};
use thicket_store::retry::until_ok;

use crate::messages::{Drain, History, Load, Save};
use crate::metrics::Metrics;
use crate::supervision::release;

/// Readings, for each that a forest remembers, that a detector of a new shape learns from.
pub const REBUILD_PER_POINT: usize = 4;
/// Checkpoints that are on their way to Redis at once.
const WRITES_IN_FLIGHT: usize = 8;

/// Writes checkpoints, the newest of each sensor, and loads what a restore needs.
pub struct Checkpointer {
    store: CheckpointStore,
    pool: PostgresPool,
    metrics: Metrics,
    known: Rc<Known>,
    state: State,
}

/// What has been read of the tables and never changes.
#[derive(Default)]
struct Known {
    field_sets: FieldSets,
    configs: RefCell<BTreeMap<u64, Arc<NamedConfig>>>,
}

impl Known {
    /// The configurations, those of the rows among them.
    async fn configs(
        &self,
        pool: &PostgresPool,
        rows: &[StoredReading],
    ) -> Result<BTreeMap<u64, Arc<NamedConfig>>, StoreError> {
        let is_missing = |id| !self.configs.borrow().contains_key(&id);
        if rows.iter().filter_map(|row| row.config).any(is_missing) {
            return self.all_configs(pool).await;
        }
        Ok(self.configs.borrow().clone())
    }

    /// All configurations that there are now.
    async fn all_configs(&self, pool: &PostgresPool) -> Result<BTreeMap<u64, Arc<NamedConfig>>, StoreError> {
        let configs = stored_configs(pool).await?;
        self.configs.replace(configs.clone());
        Ok(configs)
    }
}

/// What a restart throws away: a lost checkpoint costs a longer replay.
#[derive(Default)]
struct State {
    waiting: BTreeMap<SensorName, Waiting>,
    in_flight: usize,
    drained: Vec<oneshot::Sender<()>>,
}

struct Waiting {
    since: Instant,
    save: Save,
}

impl Checkpointer {
    /// A checkpointer over the given stores.
    pub fn new(store: CheckpointStore, pool: PostgresPool, metrics: Metrics) -> Self {
        Self { store, pool, metrics, known: Rc::default(), state: State::default() }
    }

    fn write_next(&mut self, context: &mut Context<Self>) {
        while self.state.in_flight < WRITES_IN_FLIGHT {
            let Some((_, waiting)) = self.state.waiting.pop_first() else { break };
            self.state.in_flight += 1;
            let (store, metrics) = (self.store.clone(), self.metrics.clone());
            let write = async move { write(&store, &metrics, &waiting.save).await };
            context.spawn(write.into_actor(self).map(|(), this, context| {
                this.state.in_flight -= 1;
                this.write_next(context);
            }));
        }
        let oldest =
            self.state.waiting.values().map(|waiting| waiting.since.elapsed()).max().unwrap_or_default();
        self.metrics.checkpoint_oldest_age_seconds.set(oldest.as_secs_f64());
        if self.state.in_flight == 0 {
            release(self.state.drained.drain(..));
        }
    }
}

async fn write(store: &CheckpointStore, metrics: &Metrics, save: &Save) {
    let warn = |error: &RedisError| {
        tracing::warn!(%error, sensor = %save.sensor, "the checkpoint was not written; retrying");
    };
    let bytes =
        until_ok(async || store.save(save.partition, &save.sensor, &save.checkpoint).await, warn).await;
    metrics.checkpoints.inc();
    metrics.checkpoint_bytes.inc_by(bytes as u64);
}

impl Actor for Checkpointer {
    type Context = Context<Self>;
}

impl Supervised for Checkpointer {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.state = State::default();
    }
}

impl Handler<Save> for Checkpointer {
    type Result = ();

    fn handle(&mut self, save: Save, context: &mut Context<Self>) {
        let since = self.state.waiting.get(&save.sensor).map_or_else(Instant::now, |waiting| waiting.since);
        self.state.waiting.insert(save.sensor.clone(), Waiting { since, save });
        self.write_next(context);
    }
}

impl Handler<Load> for Checkpointer {
    type Result = ResponseFuture<History>;

    fn handle(&mut self, load: Load, _: &mut Context<Self>) -> Self::Result {
        let store = self.store.clone();
        let pool = self.pool.clone();
        let (known, metrics) = (Rc::clone(&self.known), self.metrics.clone());
        if !load.use_checkpoint {
            self.state.waiting.remove(&load.sensor);
        }
        // A checkpoint that still waits to be written is newer than the stored one.
        let waiting = self.state.waiting.get(&load.sensor).map(|waiting| waiting.save.checkpoint.clone());
        Box::pin(async move {
            let warn = |error: &LoadError| {
                tracing::warn!(%error, sensor = %load.sensor, "cannot read the sensor's past; retrying");
            };
            let ask = async || history(&store, &metrics, &pool, &known, &load, waiting.clone()).await;
            until_ok(ask, warn).await
        })
    }
}

/// Why the stores did not answer.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Rows(#[from] StoreError),
}

async fn history(
    store: &CheckpointStore,
    metrics: &Metrics,
    pool: &PostgresPool,
    known: &Known,
    load: &Load,
    waiting: Option<Checkpoint>,
) -> Result<History, LoadError> {
    let sensor = load.sensor.id();
    let facts = CheckpointFacts::load(pool, sensor).await?;
    let checkpoint = load_valid_checkpoint(store, metrics, load, waiting, facts.newest_seq).await?;
    let after = checkpoint.as_ref().and_then(|checkpoint| checkpoint.newest);
    let rows = rows_after(pool, sensor, after, &known.field_sets).await?;
    let configs = known.configs(pool, &rows).await?;
    let labels = if facts.has_labels { applied_labels(pool, sensor).await? } else { Vec::new() };
    let of_this_shape =
        |id: u64| configs.get(&id).is_some_and(|then| then.fingerprint == load.config.fingerprint);
    let fits = checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.config == load.config.fingerprint)
        && rows.iter().filter_map(|row| row.config).all(of_this_shape);
    if fits {
        return Ok(History { checkpoint, replay: rows, configs, labels, ..History::default() });
    }
    // The shape has changed since: learn from what was before that, as the detector did that first had it.
    let configs = known.all_configs(pool).await?;
    let of_this_shape =
        |id: u64| configs.get(&id).is_some_and(|then| then.fingerprint == load.config.fingerprint);
    let alike: Vec<u64> = configs.keys().copied().filter(|&id| of_this_shape(id)).collect();
    let Some(changed) = newest_of_others(pool, sensor, &alike, None).await? else {
        let rows = rows_after(pool, sensor, None, &known.field_sets).await?;
        return Ok(History { replay: rows, configs, labels, ..History::default() });
    };
    let most = REBUILD_PER_POINT * load.config.config.shape().points;
    let rebuild_from = rows_up_to(pool, sensor, changed, most).await?;
    let replay = rows_after(pool, sensor, Some(changed), &known.field_sets).await?;
    Ok(History { checkpoint: None, rebuild_from, replay, configs, labels, reshaped: Some(changed) })
}

/// The sensor's checkpoint, if there is one that may be believed. One that is not is dropped, and counted.
async fn load_valid_checkpoint(
    store: &CheckpointStore,
    metrics: &Metrics,
    load: &Load,
    waiting: Option<Checkpoint>,
    newest_seq: Option<u64>,
) -> Result<Option<Checkpoint>, LoadError> {
    let found = match waiting {
        Some(checkpoint) => Stored::Checkpoint(checkpoint),
        None => store.load(load.partition, &load.sensor).await?,
    };
    match found {
        Stored::Nothing => return Ok(None),
        Stored::Checkpoint(checkpoint) if load.use_checkpoint && !is_ahead(checkpoint.seq, newest_seq) => {
            return Ok(Some(checkpoint));
        }
        Stored::Checkpoint(checkpoint) if load.use_checkpoint => {
            let seq = checkpoint.seq;
            tracing::error!(sensor = %load.sensor, seq, "the checkpoint is ahead of the stored rows; rebuilding from rows");
        }
        // Whoever does not trust it has said why, and so has the store of one that cannot be read.
        Stored::Checkpoint(_) | Stored::Unreadable => {}
    }
    metrics.checkpoints_rejected.inc();
    store.forget(load.partition, &load.sensor).await?;
    Ok(None)
}

impl Handler<Drain> for Checkpointer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        if self.state.in_flight > 0 || !self.state.waiting.is_empty() {
            self.state.drained.push(sender);
        }
        Box::pin(receiver.into_actor(self).map(|_, _, _| ()))
    }
}

#[cfg(test)]
mod tests;
