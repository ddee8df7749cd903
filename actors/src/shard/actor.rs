//! The actor of a shard: it handles messages. The work is in `worker`.

use std::rc::Rc;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture, Supervised,
    WrapFuture as _,
};
use thicket_store::redis::LogReader;
use tokio::sync::watch;

use super::options::{ShardContext, ShardOptions, ShardPeers};
use super::worker::ShardWorker;
use crate::messages::{Abandon, Assign, Drain, HandOver, HandedOver, Revoke};
use crate::metrics::Metrics;

/// Reads a set of partitions and owns the detectors of their sensors.
pub struct Shard {
    worker: Rc<ShardWorker>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl Shard {
    /// Creates a shard that waits for partitions.
    pub fn new(options: ShardOptions, peers: ShardPeers, reader: LogReader, metrics: Metrics) -> Self {
        let context = Rc::new(ShardContext::new(options, peers, metrics));
        let worker = Rc::new(ShardWorker::new(context, reader));
        Self { worker, stop: watch::Sender::new(false), ended: watch::Sender::new(false) }
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let worker = Rc::clone(&self.worker);
        let stop = self.stop.subscribe();
        let run = async move { worker.run(stop).await };
        context.spawn(run.into_actor(self).map(|(), this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for Shard {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.worker.reopen_all();
    }
}

impl Handler<Assign> for Shard {
    type Result = ();

    fn handle(&mut self, Assign(claimed): Assign, context: &mut Context<Self>) {
        self.worker.open(&claimed);
        let worker = Rc::clone(&self.worker);
        let examine = async move { worker.examine(&claimed).await };
        context.spawn(examine.into_actor(self));
    }
}

impl Handler<Revoke> for Shard {
    type Result = ();

    fn handle(&mut self, Revoke { partition }: Revoke, context: &mut Context<Self>) {
        context.spawn(self.worker.abandon(vec![partition]).into_actor(self));
    }
}

impl Handler<Abandon> for Shard {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Abandon, _: &mut Context<Self>) -> Self::Result {
        Box::pin(self.worker.abandon(self.worker.partitions.searched()))
    }
}

impl Handler<HandOver> for Shard {
    type Result = ResponseFuture<Option<HandedOver>>;

    /// Stops reading the partition, waits until all of its entries that were read are committed, and
    /// saves its detectors.
    fn handle(&mut self, message: HandOver, _: &mut Context<Self>) -> Self::Result {
        let finished = self.worker.stop_reading(message);
        Box::pin(async move { finished.await.ok() })
    }
}

impl Handler<Drain> for Shard {
    type Result = ResponseFuture<()>;

    /// Stops reading, waits until all entries that were read are committed, and saves every
    /// detector.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        Box::pin(async move { drop(ended.wait_for(|&ended| ended).await) })
    }
}
