//! One flush: takes over the logs if a new holder of the subscription asks for it, appends
//! messages, acknowledges them, and appends control entries.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join_all;
use thicket_protocol::log::earliest_generation;
use thicket_schema::{Entry, Keys, PartitionId, Position, Record};
use thicket_store::complaints;
use thicket_store::faults;
use thicket_store::redis::{AppendError, AppendOutcome, Client, LogAppender, Opening};
use thicket_store::retry::Backoff;
use tokio::sync::oneshot;

use super::options::QueueWriterOptions;
use crate::acknowledge::Delivery;
use crate::credit::Credit;
use crate::messages::{Append, AppendControls, FenceWriters};
use crate::metrics::Metrics;
use crate::supervision::{ExitReason, ExitSignal};

/// Time between two appends to a full log.
const FULL_LOG_WAIT: Duration = Duration::from_millis(100);

/// The messages that wait for the next flush.
#[derive(Debug, Default)]
pub(super) struct Flush {
    /// The newest request to take over the logs.
    pub(super) fence: Option<(FenceWriters, oneshot::Sender<bool>)>,
    pub(super) appends: Vec<Append>,
    pub(super) controls: Vec<(AppendControls, oneshot::Sender<()>)>,
}

/// The logs of all partitions, and what an append to them needs.
#[derive(Debug)]
pub(super) struct Log {
    redis: Client,
    keys: Keys,
    options: QueueWriterOptions,
    metrics: Metrics,
    exit: ExitSignal,
    /// The newest position of each log that Redis has acknowledged to this process. Kept when the
    /// actor restarts.
    acknowledged: RefCell<BTreeMap<PartitionId, Position>>,
    /// The epoch of this node as holder of the subscription.
    ingress_epoch: Cell<u64>,
    /// The newest generation that was committed when this node became the holder.
    newest_generation: Cell<u64>,
    /// Whether a later holder of the subscription has opened a log. Then this writer appends no
    /// more entries: an entry to another log could overtake the refused one.
    fenced: Cell<bool>,
}

/// The error of a writer whose log another writer has taken over.
struct Fenced;

type Appenders = BTreeMap<PartitionId, LogAppender>;

impl Flush {
    pub(super) const fn is_empty(&self) -> bool {
        self.fence.is_none() && self.appends.is_empty() && self.controls.is_empty()
    }

    /// Runs the flush. Returns the open appenders; there are none if this writer is fenced.
    pub(super) async fn run(self, log: &Log, mut appenders: Appenders) -> Appenders {
        if let Some((FenceWriters { ingress_epoch, newest_generation }, done)) = self.fence {
            log.ingress_epoch.set(ingress_epoch);
            log.newest_generation.set(newest_generation);
            let opened = log.open_all().await;
            log.fenced.set(opened.is_none());
            // The ingress may have stopped waiting.
            let _ = done.send(opened.is_some());
            appenders = opened.unwrap_or_default();
        }
        if !log.fenced.get() && !self.appends.is_empty() {
            log.append_messages(&mut appenders, self.appends).await;
        }
        for (append, done) in self.controls {
            if log.fenced.get() {
                break;
            }
            if log.append_controls(&mut appenders, append).await.is_err() {
                log.exit_fenced();
                break;
            }
            // The ingress may have stopped waiting.
            let _ = done.send(());
        }
        if log.fenced.get() { Appenders::new() } else { appenders }
    }
}

/// The rest of a message without its records. It is released once they are in the log.
type Unacknowledged = (Option<Delivery>, Credit);

/// Groups the records of messages by partition, in the order of the messages.
fn by_partition(appends: Vec<Append>) -> (BTreeMap<PartitionId, Vec<Record>>, Vec<Unacknowledged>) {
    let mut records: BTreeMap<PartitionId, Vec<Record>> = BTreeMap::new();
    let mut unacknowledged = Vec::with_capacity(appends.len());
    for append in appends {
        for (partition, record) in append.records {
            records.entry(partition).or_default().push(record);
        }
        unacknowledged.push((append.delivery, append.credit));
    }
    (records, unacknowledged)
}

impl Log {
    pub(super) fn new(
        redis: Client,
        keys: Keys,
        options: QueueWriterOptions,
        metrics: Metrics,
        exit: ExitSignal,
    ) -> Self {
        Self {
            redis,
            keys,
            options,
            metrics,
            exit,
            acknowledged: RefCell::default(),
            ingress_epoch: Cell::new(0),
            newest_generation: Cell::new(0),
            fenced: Cell::new(false),
        }
    }

    /// Appends messages. Acknowledges them in the order of their arrival, once every partition of
    /// the flush has its records. A message may have records of several partitions. If the process
    /// dies before the acknowledgement, the broker delivers the message again, and partitions that
    /// have its records already get duplicates.
    async fn append_messages(&self, appenders: &mut Appenders, appends: Vec<Append>) {
        let started = Instant::now();
        let _wait = self.metrics.append_waits.begin();
        let messages = appends.iter().filter(|append| append.ends_message).count() as u64;
        let (records, acknowledge) = by_partition(appends);
        let unfinished = Cell::new(records.len());
        let open = records.into_iter().map(|(partition, records)| {
            let appender = appenders.remove(&partition);
            (partition, appender, records)
        });
        let appends = open.map(async |(partition, appender, records)| {
            let appended = self.append_records(partition, appender, records).await;
            unfinished.set(unfinished.get() - 1);
            if unfinished.get() > 0 {
                faults::pass("append.partial");
            }
            (partition, appended)
        });
        let mut all_appended = true;
        for (partition, appended) in join_all(appends).await {
            match appended {
                Ok(appender) => drop(appenders.insert(partition, appender)),
                Err(Fenced) => all_appended = false,
            }
        }
        if !all_appended {
            self.exit_fenced();
            return;
        }
        self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.mqtt_messages.with_label_values(&["appended"]).inc_by(messages);
        for (delivery, credit) in acknowledge {
            if let Some(delivery) = delivery {
                faults::pass("ack.before");
                delivery.acknowledge();
                faults::pass("ack.after");
            }
            drop(credit);
        }
    }

    async fn append_controls(
        &self,
        appenders: &mut Appenders,
        AppendControls { controls }: AppendControls,
    ) -> Result<(), Fenced> {
        let received = Utc::now().timestamp_micros();
        for (partition, control) in controls {
            let appender = match appenders.remove(&partition) {
                Some(open) => open,
                None => self.open(partition).await?,
            };
            let appender =
                self.append_entry(partition, appender, Entry::of_control(received, control)).await?;
            appenders.insert(partition, appender);
            self.metrics.entries_appended.inc();
        }
        Ok(())
    }

    /// Ends the node, because another ingress has taken over. No more entries are appended.
    fn exit_fenced(&self) {
        self.fenced.set(true);
        let what = "the log of a partition (a second ingress runs with the same client id?)".to_owned();
        self.exit.raise(ExitReason::Fenced { what });
    }

    /// Opens every log. Returns `None` if a later holder of the subscription has opened one.
    async fn open_all(&self) -> Option<Appenders> {
        let partitions: Vec<PartitionId> = (0..self.options.partitions).map(PartitionId).collect();
        let opened = join_all(partitions.iter().map(|&partition| self.open(partition))).await;
        partitions
            .into_iter()
            .zip(opened)
            .map(|(partition, opened)| Some((partition, opened.ok()?)))
            .collect()
    }

    /// Appends records of one partition, in entries of bounded size. Returns once they are in the
    /// log.
    async fn append_records(
        &self,
        partition: PartitionId,
        appender: Option<LogAppender>,
        records: Vec<Record>,
    ) -> Result<LogAppender, Fenced> {
        let mut appender = match appender {
            Some(open) => open,
            None => self.open(partition).await?,
        };
        let mut rest = records;
        while !rest.is_empty() {
            let next = rest.split_off(rest.len().min(self.options.max_records));
            let count = rest.len() as u64;
            let entry =
                Entry { predecessor: Position::default(), records: std::mem::replace(&mut rest, next) };
            appender = self.append_entry(partition, appender, entry).await?;
            self.metrics.entries_appended.inc();
            self.metrics.records_appended.inc_by(count);
        }
        Ok(appender)
    }

    /// Appends an entry. Retries until it is in the log, or until this writer is fenced.
    async fn append_entry(
        &self,
        partition: PartitionId,
        mut appender: LogAppender,
        mut entry: Entry,
    ) -> Result<LogAppender, Fenced> {
        let mut bytes = appender.pack(&mut entry);
        let mut backoff = Backoff::default();
        loop {
            match appender.append(&self.redis, &self.keys, &bytes, self.options.max_backlog).await {
                Ok(AppendOutcome::Appended) => {
                    self.metrics.log_out_of_memory.set(0);
                    self.acknowledged.borrow_mut().insert(partition, appender.last());
                    return Ok(appender);
                }
                Ok(AppendOutcome::Full) => {
                    self.metrics.backlog_full.inc();
                    if let Some(repeated) = complaints::due("append", &"full") {
                        tracing::warn!(%partition, bound = self.options.max_backlog, repeated, "the log is full; messages stay with the broker; retrying");
                    }
                    // Flow control, not a failure: the wait does not grow.
                    tokio::time::sleep(FULL_LOG_WAIT).await;
                }
                Ok(AppendOutcome::Fenced) => return Err(Fenced),
                Ok(AppendOutcome::Lost) => {
                    tracing::error!(%partition, "redis lost entries of this node; opening a new generation");
                    self.metrics.log_gaps.inc();
                    appender = self.open(partition).await?;
                    bytes = appender.pack(&mut entry);
                }
                Err(error) => {
                    self.note_failure(&error);
                    if let Some(repeated) = complaints::due("append", &error) {
                        tracing::warn!(%error, %partition, repeated, "append failed; retrying");
                    }
                    backoff.wait().await;
                }
            }
        }
    }

    fn note_failure(&self, error: &AppendError) {
        self.metrics.append_failures.inc();
        if error.is_out_of_memory() {
            self.metrics.log_out_of_memory.set(1);
        }
    }

    /// Opens a new generation of a log. It is greater than every known generation, even if the
    /// clock was set back.
    async fn open(&self, partition: PartitionId) -> Result<LogAppender, Fenced> {
        let acknowledged = self.acknowledged.borrow().get(&partition).copied().unwrap_or_default();
        let mut backoff = Backoff::default();
        loop {
            let wall_ms = Utc::now().timestamp_millis().cast_unsigned();
            let opening = Opening {
                earliest: earliest_generation(wall_ms, self.newest_generation.get(), acknowledged),
                ingress_epoch: self.ingress_epoch.get(),
                acknowledged,
            };
            let producer = &self.options.producer;
            match LogAppender::open(&self.redis, &self.keys, partition, producer, opening).await {
                Ok(appender) => {
                    self.metrics.log_out_of_memory.set(0);
                    return Ok(appender);
                }
                Err(AppendError::Fenced) => return Err(Fenced),
                Err(error) => {
                    self.note_failure(&error);
                    if let Some(repeated) = complaints::due("open a log", &error) {
                        tracing::warn!(%error, %partition, repeated, "cannot open the log; retrying");
                    }
                    backoff.wait().await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
