//! Appends records to the log, grouped by partition, and acknowledges a message once the log holds all of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, Supervised,
    WrapFuture as _,
};
use chrono::Utc;
use fred::clients::Client;
use futures_util::future::join_all;
use thicket_schema::{Entry, Keys, PartitionId, Position, Record};

use super::append::{AppendError, AppendOutcome, LogAppender};
use thicket_store::faults;
use crate::messages::{AppendControls, Append, Drain, FenceWriters};
use crate::metrics::Metrics;
use thicket_protocol::log::earliest_generation;
use crate::acknowledge::Connection;
use crate::supervision::release;
use crate::supervision::{ExitReason, ExitSignal};

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// How the log is written.
#[derive(Clone, Debug)]
pub struct QueueWriterOptions {
    /// How long a flush waits for company.
    pub linger: Duration,
    /// Most records of one entry.
    pub max_records: usize,
    /// Most entries of a partition's log; beyond it messages stay unacknowledged with the broker.
    pub max_backlog: u64,
    /// A name that no other writer has.
    pub producer: String,
    /// Number of logs.
    pub partitions: u16,
    /// The newest generation that is known from elsewhere: Redis may have forgotten it, and the clock may have been set back.
    pub newest_generation: u64,
}

/// The actor that writes every partition's log. One flush is in flight at a time; what arrives meanwhile makes up the next.
#[derive(Debug)]
pub struct QueueWriter {
    log: Rc<Log>,
    linger: Duration,
    connection: Connection,
    state: State,
}

/// What a restart throws away.
#[derive(Debug, Default)]
struct State {
    /// The last that asked for the logs.
    takeover: Option<(FenceWriters, tokio::sync::oneshot::Sender<bool>)>,
    pending: Vec<Append>,
    announcements: Vec<(AppendControls, tokio::sync::oneshot::Sender<()>)>,
    appenders: BTreeMap<PartitionId, LogAppender>,
    flushing: bool,
    drained: Vec<tokio::sync::oneshot::Sender<()>>,
}

/// What every append needs.
#[derive(Debug)]
struct Log {
    redis: Client,
    keys: Keys,
    options: QueueWriterOptions,
    metrics: Metrics,
    exit: ExitSignal,
    /// The newest place of each log that this process knows to have been acknowledged. Outlives a restart of the actor.
    acknowledged: RefCell<BTreeMap<PartitionId, Position>>,
    /// The number of this holder of the subscription.
    ingress_epoch: Cell<u64>,
    /// Whether another has taken over. What is appended then could overtake what was refused: nothing is.
    fenced: Cell<bool>,
}

/// Another writer has taken the log over.
struct Fenced;

impl QueueWriter {
    /// A writer that holds no log yet: each is opened when its first record comes.
    pub fn new(
        redis: Client,
        keys: Keys,
        options: QueueWriterOptions,
        connection: Connection,
        metrics: Metrics,
        exit: ExitSignal,
    ) -> Self {
        let linger = options.linger;
        let acknowledged = RefCell::default();
        let (ingress_epoch, fenced) = (Cell::new(0), Cell::new(false));
        let log = Rc::new(Log { redis, keys, options, metrics, exit, acknowledged, ingress_epoch, fenced });
        Self { log, linger, connection, state: State::default() }
    }

    fn flush(&mut self, context: &mut Context<Self>) {
        self.state.flushing = true;
        let linger = self.linger;
        let flush = tokio::time::sleep(linger)
            .into_actor(self)
            .then(|(), this, _| {
                let takeover = this.state.takeover.take();
                let batch = std::mem::take(&mut this.state.pending);
                let announcements = std::mem::take(&mut this.state.announcements);
                let appenders = std::mem::take(&mut this.state.appenders);
                flush_all(Rc::clone(&this.log), appenders, takeover, batch, announcements).into_actor(this)
            })
            .map(|appenders, this, context| {
                this.state.appenders = appenders;
                this.state.flushing = false;
                let State { takeover, pending, announcements, .. } = &this.state;
                if takeover.is_none() && pending.is_empty() && announcements.is_empty() {
                    release(this.state.drained.drain(..));
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
        // What was pending was not acknowledged; the broker delivers it again on a new connection.
        self.state = State::default();
        self.connection.request_redelivery();
    }
}

impl Handler<Append> for QueueWriter {
    type Result = ();

    fn handle(&mut self, mut append: Append, context: &mut Context<Self>) {
        if !faults::keeps("rule.acknowledge_after_append")
            && let Some(delivery) = append.delivery.take()
        {
            delivery.acknowledge();
        }
        self.state.pending.push(append);
        if !self.state.flushing {
            self.flush(context);
        }
    }
}

impl Handler<FenceWriters> for QueueWriter {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, take: FenceWriters, context: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.state.pending.clear();
        self.state.takeover = Some((take, sender));
        if !self.state.flushing {
            self.flush(context);
        }
        Box::pin(receiver.into_actor(self).map(|taken, _, _| taken.unwrap_or(false)))
    }
}

impl Handler<AppendControls> for QueueWriter {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, announce: AppendControls, context: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.state.announcements.push((announce, sender));
        if !self.state.flushing {
            self.flush(context);
        }
        Box::pin(receiver.into_actor(self).map(|done, _, _| done.is_ok()))
    }
}

impl Handler<Drain> for QueueWriter {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        if self.state.flushing {
            self.state.drained.push(sender);
        }
        Box::pin(receiver.into_actor(self).map(|_, _, _| ()))
    }
}

/// Takes the logs if that is asked for, appends a batch, and after it what is announced.
async fn flush_all(
    log: Rc<Log>,
    mut appenders: BTreeMap<PartitionId, LogAppender>,
    takeover: Option<(FenceWriters, tokio::sync::oneshot::Sender<bool>)>,
    batch: Vec<Append>,
    announcements: Vec<(AppendControls, tokio::sync::oneshot::Sender<()>)>,
) -> BTreeMap<PartitionId, LogAppender> {
    if let Some((FenceWriters { ingress_epoch }, done)) = takeover {
        log.ingress_epoch.set(ingress_epoch);
        let opened = log.open_all().await;
        log.fenced.set(opened.is_none());
        // Whoever asked for it may not be waiting any more.
        let _ = done.send(opened.is_some());
        appenders = opened.unwrap_or_default();
    }
    if log.fenced.get() {
        return BTreeMap::new();
    }
    if !batch.is_empty() {
        appenders = flush_batch(Rc::clone(&log), appenders, batch).await;
    }
    if log.fenced.get() {
        return BTreeMap::new();
    }
    for (AppendControls { controls }, done) in announcements {
        let received = Utc::now().timestamp_micros();
        for (partition, control) in controls {
            let entry = Entry::of_control(received, control);
            let appender = appenders.remove(&partition);
            let Ok(appender) = log.append_entry(partition, appender, entry).await else {
                log.end();
                return BTreeMap::new();
            };
            log.metrics.entries_appended.inc();
            appenders.insert(partition, appender);
        }
        // Whoever announced it may not be waiting any more.
        let _ = done.send(());
    }
    appenders
}

/// Appends a batch and acknowledges its messages in the order of their arrival.
async fn flush_batch(
    log: Rc<Log>,
    mut appenders: BTreeMap<PartitionId, LogAppender>,
    batch: Vec<Append>,
) -> BTreeMap<PartitionId, LogAppender> {
    let started = Instant::now();
    let mut records: BTreeMap<PartitionId, Vec<Record>> = BTreeMap::new();
    let mut acknowledge = Vec::with_capacity(batch.len());
    for append in batch {
        records.entry(append.partition).or_default().extend(append.records);
        acknowledge.push((append.delivery, append.credit));
    }
    let appends = records.into_iter().map(|(partition, records)| {
        let appender = appenders.remove(&partition);
        log.append_all(partition, appender, records)
    });
    let results = join_all(appends).await;
    let mut all_appended = true;
    for (partition, appended) in results {
        match appended {
            Ok(appender) => drop(appenders.insert(partition, appender)),
            Err(Fenced) => all_appended = false,
        }
    }
    if !all_appended {
        log.end();
        return appenders;
    }
    log.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
    let mut messages = 0;
    for (delivery, credit) in acknowledge {
        messages += 1;
        if let Some(delivery) = delivery {
            faults::pass("ack.before");
            delivery.acknowledge();
            faults::pass("ack.after");
        }
        drop(credit);
    }
    log.metrics.mqtt_messages.with_label_values(&["appended"]).inc_by(messages);
    appenders
}

impl Log {
    /// Another has taken over: nothing is appended any more, and the node is to end.
    fn end(&self) {
        self.fenced.set(true);
        let what = "the log of a partition (a second ingress runs with the same client id?)".to_owned();
        self.exit.raise(ExitReason::Fenced { what });
    }

    /// Opens every log; nothing if a later holder of the subscription has opened one.
    async fn open_all(&self) -> Option<BTreeMap<PartitionId, LogAppender>> {
        let partitions: Vec<PartitionId> = (0..self.options.partitions).map(PartitionId).collect();
        let opened = join_all(partitions.iter().map(|&partition| self.open(partition))).await;
        partitions
            .into_iter()
            .zip(opened)
            .map(|(partition, opened)| Some((partition, opened.ok()?)))
            .collect()
    }

    /// Appends records of one partition, in entries of bounded size, and does not give up before they are in the log.
    async fn append_all(
        &self,
        partition: PartitionId,
        mut appender: Option<LogAppender>,
        records: Vec<Record>,
    ) -> (PartitionId, Result<LogAppender, Fenced>) {
        let mut rest = records;
        while !rest.is_empty() {
            let next = rest.split_off(rest.len().min(self.options.max_records));
            let count = rest.len() as u64;
            let entry =
                Entry { predecessor: Position::default(), records: std::mem::replace(&mut rest, next) };
            match self.append_entry(partition, appender, entry).await {
                Ok(open) => appender = Some(open),
                Err(Fenced) => return (partition, Err(Fenced)),
            }
            self.metrics.entries_appended.inc();
            self.metrics.records_appended.inc_by(count);
        }
        let appender = match appender {
            Some(open) => Ok(open),
            None => self.open(partition).await,
        };
        (partition, appender)
    }

    async fn append_entry(
        &self,
        partition: PartitionId,
        appender: Option<LogAppender>,
        mut entry: Entry,
    ) -> Result<LogAppender, Fenced> {
        let mut appender = match appender {
            Some(open) => open,
            None => self.open(partition).await?,
        };
        let mut bytes = appender.pack(&mut entry);
        let mut pause = RETRY_MIN;
        loop {
            match appender.append(&self.redis, &self.keys, &bytes, self.options.max_backlog).await {
                Ok(AppendOutcome::Appended) => {
                    self.acknowledged.borrow_mut().insert(partition, appender.last());
                    return Ok(appender);
                }
                Ok(AppendOutcome::Full) => {
                    self.metrics.backlog_full.inc();
                    tracing::warn!(%partition, bound = self.options.max_backlog, "the log is at its bound; messages wait with the broker");
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Ok(AppendOutcome::Fenced) => return Err(Fenced),
                Ok(AppendOutcome::Lost) => {
                    tracing::error!(%partition, "redis has forgotten what this node has written; opening a new generation");
                    self.metrics.log_gaps.inc();
                    appender = self.open(partition).await?;
                    bytes = appender.pack(&mut entry);
                }
                Err(error) => self.pause_after(&error, partition, &mut pause).await,
            }
        }
    }

    /// Opens a new generation, after every other that is known, whatever the clock says.
    async fn open(&self, partition: PartitionId) -> Result<LogAppender, Fenced> {
        let acknowledged = self.acknowledged.borrow().get(&partition).copied().unwrap_or_default();
        let mut pause = RETRY_MIN;
        loop {
            let wall_ms = Utc::now().timestamp_millis().cast_unsigned();
            let earliest = earliest_generation(wall_ms, self.options.newest_generation, acknowledged);
            let producer = &self.options.producer;
            let place = (earliest, self.ingress_epoch.get());
            match LogAppender::open(&self.redis, &self.keys, partition, producer, place, acknowledged).await {
                Ok(appender) => return Ok(appender),
                Err(AppendError::Fenced) => return Err(Fenced),
                Err(error) => self.pause_after(&error, partition, &mut pause).await,
            }
        }
    }

    async fn pause_after(&self, error: &AppendError, partition: PartitionId, pause: &mut Duration) {
        tracing::warn!(%error, %partition, "append failed; trying again");
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(RETRY_MAX);
    }
}
