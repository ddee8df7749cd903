//! The actor that writes the log of every partition. One flush is in flight at a time. Messages
//! that arrive meanwhile go into the next flush.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, Supervised,
    WrapFuture as _,
};
use thicket_schema::{Keys, PartitionId};
use thicket_store::redis::{Client, LogAppender};
use tokio::sync::oneshot;

use super::flush::{Flush, Log};
use super::options::QueueWriterOptions;
use crate::acknowledge::Redelivery;
use crate::messages::{Append, AppendControls, Drain, FenceWriters};
use crate::metrics::Metrics;
use crate::supervision::{ExitSignal, notify_drained};

/// The actor that writes the logs.
#[derive(Debug)]
pub struct QueueWriter {
    log: Rc<Log>,
    linger: Duration,
    redelivery: Vec<Redelivery>,
    state: State,
}

/// Lost in a restart: the broker delivers the pending messages again.
#[derive(Debug, Default)]
struct State {
    pending: Flush,
    appenders: BTreeMap<PartitionId, LogAppender>,
    flushing: bool,
    drained: Vec<oneshot::Sender<()>>,
}

impl QueueWriter {
    /// Creates a writer of the messages of several brokers. It opens a log before the first append
    /// to it.
    pub fn new(
        redis: Client,
        keys: Keys,
        options: QueueWriterOptions,
        redelivery: Vec<Redelivery>,
        metrics: Metrics,
        exit: ExitSignal,
    ) -> Self {
        let linger = options.linger;
        let log = Rc::new(Log::new(redis, keys, options, metrics, exit));
        Self { log, linger, redelivery, state: State::default() }
    }

    fn flush(&mut self, context: &mut Context<Self>) {
        if self.state.flushing {
            return;
        }
        self.state.flushing = true;
        let flush = tokio::time::sleep(self.linger)
            .into_actor(self)
            .then(|(), this, _| {
                let log = Rc::clone(&this.log);
                let flush = std::mem::take(&mut this.state.pending);
                let appenders = std::mem::take(&mut this.state.appenders);
                async move { flush.run(&log, appenders).await }.into_actor(this)
            })
            .map(|appenders, this, context| {
                this.state.appenders = appenders;
                this.state.flushing = false;
                if this.state.pending.is_empty() {
                    notify_drained(this.state.drained.drain(..));
                } else {
                    this.flush(context);
                }
            });
        context.spawn(flush);
    }
}

impl Actor for QueueWriter {
    type Context = Context<Self>;
}

impl Supervised for QueueWriter {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // The pending messages are not acknowledged, so the broker delivers them again on a new
        // connection.
        self.state = State::default();
        self.redelivery.iter().for_each(Redelivery::request);
    }
}

impl Handler<Append> for QueueWriter {
    type Result = ();

    fn handle(&mut self, append: Append, context: &mut Context<Self>) {
        #[cfg(feature = "faults")]
        let append = super::broken::acknowledge_before_append(append);
        self.state.pending.appends.push(append);
        self.flush(context);
    }
}

impl Handler<FenceWriters> for QueueWriter {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, fence: FenceWriters, context: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.state.pending.appends.clear();
        self.state.pending.fence = Some((fence, sender));
        self.flush(context);
        Box::pin(receiver.into_actor(self).map(|fenced, _, _| fenced.unwrap_or(false)))
    }
}

impl Handler<AppendControls> for QueueWriter {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, append: AppendControls, context: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.state.pending.controls.push((append, sender));
        self.flush(context);
        Box::pin(receiver.into_actor(self).map(|done, _, _| done.is_ok()))
    }
}

impl Handler<Drain> for QueueWriter {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        if self.state.flushing {
            self.state.drained.push(sender);
        }
        Box::pin(receiver.into_actor(self).map(|_, _, _| ()))
    }
}

#[cfg(test)]
mod tests;
