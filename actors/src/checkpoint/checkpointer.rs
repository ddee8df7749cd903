//! The actor that saves checkpoints, and loads the history that a restore needs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, ResponseFuture,
    Supervised, WrapFuture as _,
};
use thicket_schema::{PartitionId, SensorName};
use thicket_store::complaints;
use thicket_store::postgres::{NearRow, PostgresPool, StoreError, is_to_forget, rows_near};
use thicket_store::redis::{CheckpointStore, RedisError};
use thicket_store::retry::until_ok;
use tokio::sync::oneshot;

use super::budget::{Budget, BudgetOptions, RECOUNT_INTERVAL, REFRESH_INTERVAL};
use super::history::{Checkpoints, LoadError, ROWS_PER_PAGE, Rows, TableCache, load_history};
use super::places::LoadPlaces;
use super::write::{Write, Writing};
use crate::lamps::Wait;
use crate::messages::{DeleteCheckpoint, Drain, History, HistoryPage, Load, LoadNear, LoadRows, Save};
use crate::metrics::Metrics;
use crate::supervision::notify_drained;
use crate::time_order::MAX_AT_ONE_TIME;

/// Maximum number of checkpoints that are written at once.
const WRITES_IN_FLIGHT: usize = 8;

/// Writes the newest checkpoint of each sensor, and loads the history of sensors.
pub struct Checkpointer {
    store: CheckpointStore,
    pool: PostgresPool,
    metrics: Metrics,
    cache: Rc<TableCache>,
    budget: Rc<Budget>,
    /// Whether the node stops. Then no checkpoint waits for a store that is away.
    is_draining: Rc<Cell<bool>>,
    places: LoadPlaces,
    rows_per_page: usize,
    state: State,
}

/// Lost in a restart. A lost checkpoint makes the next replay longer.
#[derive(Default)]
struct State {
    waiting: BTreeMap<SensorName, Waiting>,
    in_flight: usize,
    writing: Rc<Writing>,
    drained: Vec<oneshot::Sender<()>>,
}

/// A checkpoint that waits to be written.
struct Waiting {
    /// Since the first checkpoint of the sensor began to wait. A newer one replaces the checkpoint,
    /// not the time. It ends when the checkpoint is written or refused.
    wait: Wait,
    save: Save,
}

impl Checkpointer {
    /// Creates a checkpointer over the given stores.
    pub fn new(store: CheckpointStore, pool: PostgresPool, budget: BudgetOptions, metrics: Metrics) -> Self {
        let budget = Rc::new(Budget::new(store.clone(), budget, metrics.clone()));
        Self {
            store,
            pool,
            metrics,
            cache: Rc::default(),
            budget,
            is_draining: Rc::default(),
            places: LoadPlaces::default(),
            rows_per_page: ROWS_PER_PAGE,
            state: State::default(),
        }
    }

    /// Keeps the account of memory, until the actor ends.
    fn watch_budget(&self, context: &mut Context<Self>) {
        let budget = Rc::clone(&self.budget);
        let watching = async move {
            loop {
                budget.recount().await;
                let recounted = Instant::now();
                while recounted.elapsed() < RECOUNT_INTERVAL {
                    budget.refresh().await;
                    tokio::time::sleep(REFRESH_INTERVAL).await;
                }
            }
        };
        context.spawn(watching.into_actor(self));
    }

    /// Sets how many rows a page of a restore has at most.
    #[must_use]
    pub const fn with_rows_per_page(mut self, rows: usize) -> Self {
        self.rows_per_page = rows;
        self
    }

    fn rows(&self) -> Rows {
        Rows::new(self.pool.clone(), Rc::clone(&self.cache), self.rows_per_page)
    }

    fn write_next(&mut self, context: &mut Context<Self>) {
        while self.state.in_flight < WRITES_IN_FLIGHT {
            let Some((sensor, waiting)) = self.state.waiting.pop_first() else { break };
            self.state.in_flight += 1;
            let being_written = self.state.writing.begin(&sensor);
            let write = Write {
                store: self.store.clone(),
                budget: Rc::clone(&self.budget),
                metrics: self.metrics.clone(),
                is_draining: Rc::clone(&self.is_draining),
            };
            let writing = async move {
                write.run(&waiting.save).await;
                drop((waiting, being_written));
            };
            context.spawn(writing.into_actor(self).map(|(), this, context| {
                this.state.in_flight -= 1;
                this.write_next(context);
            }));
        }
        if self.state.in_flight == 0 {
            notify_drained(self.state.drained.drain(..));
        }
    }
}

impl Actor for Checkpointer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.watch_budget(context);
    }
}

impl Supervised for Checkpointer {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.state = State::default();
    }
}

impl Handler<Save> for Checkpointer {
    type Result = ();

    fn handle(&mut self, mut save: Save, context: &mut Context<Self>) {
        let before = self.state.waiting.remove(&save.sensor);
        save.pinned |= before.as_ref().is_some_and(|waiting| waiting.save.pinned);
        let wait = before.map_or_else(|| self.metrics.checkpoint_waits.begin(), |waiting| waiting.wait);
        self.state.waiting.insert(save.sensor.clone(), Waiting { wait, save });
        self.write_next(context);
    }
}

impl Handler<Load> for Checkpointer {
    type Result = ResponseFuture<History>;

    fn handle(&mut self, load: Load, _: &mut Context<Self>) -> Self::Result {
        let checkpoints = Checkpoints {
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            writing: Rc::clone(&self.state.writing),
        };
        let rows = self.rows();
        let (places, wait) = (self.places.clone(), self.metrics.restore_waits.begin());
        if !load.use_checkpoint {
            self.state.waiting.remove(&load.sensor);
        }
        // A checkpoint that waits to be written is newer than the stored checkpoint.
        let waiting = self.state.waiting.get(&load.sensor).map(|waiting| waiting.save.checkpoint.clone());
        Box::pin(async move {
            let warn = |error: &LoadError| {
                if let Some(repeated) = complaints::due("load a history", error) {
                    tracing::warn!(%error, sensor = %load.sensor, repeated, "cannot load the history of the sensor; retrying");
                }
            };
            let query = async || {
                let credit = places.take_page().await;
                let _place = places.take().await;
                let history = load_history(&checkpoints, &rows, &load, waiting.clone()).await?;
                Ok(History { credit, ..history })
            };
            let history = until_ok(query, warn).await;
            drop(wait);
            history
        })
    }
}

impl Handler<LoadRows> for Checkpointer {
    type Result = ResponseFuture<HistoryPage>;

    fn handle(&mut self, load: LoadRows, _: &mut Context<Self>) -> Self::Result {
        let rows = self.rows();
        let (places, wait) = (self.places.clone(), self.metrics.restore_waits.begin());
        Box::pin(async move {
            let LoadRows { sensor, config, after } = load;
            let warn = |error: &StoreError| {
                if let Some(repeated) = complaints::due("load rows", error) {
                    tracing::warn!(%error, %sensor, repeated, "cannot load the next rows of the sensor; retrying");
                }
            };
            let query = async || {
                let credit = places.take_page().await;
                let _place = places.take().await;
                let page = rows.next(sensor.id(), after, config.fingerprint).await?;
                Ok(HistoryPage { credit, ..page })
            };
            let page = until_ok(query, warn).await;
            drop(wait);
            page
        })
    }
}

impl Handler<DeleteCheckpoint> for Checkpointer {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, delete: DeleteCheckpoint, _: &mut Context<Self>) -> Self::Result {
        let DeleteCheckpoint { partition, sensor, request } = delete;
        let (store, pool, id) = (self.store.clone(), self.pool.clone(), sensor.id());
        let asking = async move {
            let warn = |error: &StoreError| {
                if let Some(repeated) = complaints::due("read a request", error) {
                    tracing::warn!(%error, repeated, "cannot read a request about a sensor; retrying");
                }
            };
            until_ok(async || is_to_forget(&pool, id, request).await, warn).await
        };
        let deleting = move |is_to_forget: bool, this: &mut Self, _: &mut Context<Self>| {
            if is_to_forget {
                this.state.waiting.remove(&sensor);
            }
            let writing = Rc::clone(&this.state.writing);
            let deleting = async move {
                if is_to_forget {
                    // A write that ends later would bring the checkpoint back.
                    writing.wait_for(&sensor).await;
                    delete_checkpoint(&store, partition, &sensor).await;
                }
                is_to_forget
            };
            deleting.into_actor(this)
        };
        Box::pin(asking.into_actor(self).then(deleting))
    }
}

/// Deletes a checkpoint. Retries until Redis answers.
async fn delete_checkpoint(store: &CheckpointStore, partition: PartitionId, sensor: &SensorName) {
    let warn = |error: &RedisError| {
        if let Some(repeated) = complaints::due("delete a checkpoint", &error) {
            tracing::warn!(%error, %sensor, repeated, "cannot delete the checkpoint; retrying");
        }
    };
    until_ok(async || store.delete(partition, sensor).await, warn).await;
}

impl Handler<LoadNear> for Checkpointer {
    type Result = ResponseFuture<Vec<NearRow>>;

    fn handle(&mut self, LoadNear { sensor, times }: LoadNear, _: &mut Context<Self>) -> Self::Result {
        let (pool, cache, places) = (self.pool.clone(), Rc::clone(&self.cache), self.places.clone());
        Box::pin(async move {
            let warn = |error: &StoreError| {
                if let Some(repeated) = complaints::due("load late rows", error) {
                    tracing::warn!(%error, %sensor, repeated, "cannot load the rows near late readings of the sensor; retrying");
                }
            };
            let query = async || {
                let _place = places.take().await;
                rows_near(&pool, sensor.id(), &times, MAX_AT_ONE_TIME, &cache.field_sets).await
            };
            until_ok(query, warn).await
        })
    }
}

impl Handler<Drain> for Checkpointer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.is_draining.set(true);
        let (sender, receiver) = oneshot::channel();
        if self.state.in_flight > 0 || !self.state.waiting.is_empty() {
            self.state.drained.push(sender);
        }
        Box::pin(receiver.into_actor(self).map(|_, _, _| ()))
    }
}

#[cfg(test)]
mod tests;
