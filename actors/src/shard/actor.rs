//! The actor of a shard: its loop reads, scores, hands on, and keeps house.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, ResponseFuture, Supervised,
    WrapFuture as _,
};
use chrono::Utc;
use futures_util::future::join_all;
use thicket_schema::{Control, PartitionId, Position};
use tokio::sync::{Notify, oneshot, watch};

use super::assemble::{Judged, assemble};
use super::partition::Partition;
use super::residents::{DueCheckpoint, JobResult, Nursery, Residents, Unrecoverable};
use super::work::{Collector, Gap, Job, Work, cut_at_control};
use crate::checkpoint::Checkpointer;
use crate::credit::{Credit, CreditPool, send_credited};
use crate::detector::{DetectorConfigs, NamedConfig};
use crate::messages::{Assign, Commit, CommitOutcome, Drain, Reopen, Revoke, Verdict};
use crate::metrics::Metrics;
use crate::ownership::PartitionKeeper;
use crate::queue::LogReader;
use crate::supervision::ExitSignal;
use crate::writer::{CommitBatch, PostgresWriter};

/// How long a read waits for entries. A partition that is assigned meanwhile is read from then on.
const READ_PATIENCE: Duration = Duration::from_millis(100);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Readings that one read aims at.
const READ_TARGET: u64 = 4_096;
const MOST_ENTRIES: u64 = 256;
/// Checkpoints on their way from one shard to the checkpointer.
const CHECKPOINT_KIB: u32 = 64 * 1_024;

/// How a shard works.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// Its number, from 0.
    pub number: u16,
    /// How sensors are configured where the log has not said so yet.
    pub detectors: Arc<DetectorConfigs>,
    /// Readings between two checkpoints of a sensor.
    pub checkpoint_every: u64,
    /// How long a detector stays in memory without a reading.
    pub retire_after: Duration,
    /// Most detectors in memory.
    pub max_resident: usize,
    /// Most readings between log and database.
    pub max_in_flight: u32,
}

/// Whom a shard talks to.
#[derive(Clone, Debug)]
pub struct ShardPeers {
    /// Writes its rows. Partition p goes to writer p modulo their number.
    pub writers: Vec<Addr<PostgresWriter>>,
    /// Saves and loads its detectors.
    pub checkpointer: Addr<Checkpointer>,
    /// Assigns its partitions.
    pub keeper: Addr<PartitionKeeper>,
    /// Told when the node must end.
    pub exit: ExitSignal,
}

/// Reads a set of partitions and owns their detectors.
pub struct Shard {
    desk: Rc<Desk>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

/// What the loop, its jobs and its pending commits share. All of it lives on one arbiter; no borrow is held across an
/// await.
struct Desk {
    label: String,
    reader: LogReader,
    nursery: Nursery,
    credits: CreditPool,
    state: RefCell<State>,
    /// Signalled whenever a commit has been dealt with.
    settled: Notify,
}

/// What a restart throws away.
#[derive(Default)]
struct State {
    partitions: BTreeMap<PartitionId, Partition>,
    residents: Residents,
}

impl Shard {
    /// A shard that waits for partitions.
    pub fn new(options: ShardOptions, peers: ShardPeers, reader: LogReader, metrics: Metrics) -> Self {
        let label = options.number.to_string();
        let credits = CreditPool::new(options.max_in_flight);
        let checkpoint_credits = CreditPool::new(CHECKPOINT_KIB);
        let nursery = Nursery { options, peers, metrics, checkpoint_credits };
        let desk =
            Desk { label, reader, nursery, credits, state: RefCell::default(), settled: Notify::new() };
        Self { desk: Rc::new(desk), stop: watch::Sender::new(false), ended: watch::Sender::new(false) }
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let desk = Rc::clone(&self.desk);
        let stop = self.stop.subscribe();
        let run = async move { desk.run(stop).await };
        context.spawn(run.into_actor(self).map(|(), this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for Shard {
    fn restarting(&mut self, _: &mut Context<Self>) {
        let state = self.desk.state.take();
        for partition in state.partitions.into_keys() {
            self.desk.reopen(partition);
        }
    }
}

impl Handler<Assign> for Shard {
    type Result = ();

    fn handle(&mut self, assign: Assign, context: &mut Context<Self>) {
        let Assign { partition, epoch, position, detectors } = assign;
        let detectors = self.desk.detectors_of(partition, detectors.as_deref());
        tracing::debug!(%partition, epoch, %position, "partition assigned");
        let mut state = self.desk.state.borrow_mut();
        state.residents.drop_partition(partition);
        state.partitions.insert(partition, Partition::new(epoch, position, detectors));
        drop(state);
        let desk = Rc::clone(&self.desk);
        context.spawn(async move { desk.check_tail(partition, position).await }.into_actor(self));
    }
}

impl Handler<Revoke> for Shard {
    type Result = ();

    fn handle(&mut self, Revoke { partition }: Revoke, _: &mut Context<Self>) {
        self.desk.close(partition);
    }
}

impl Handler<Drain> for Shard {
    type Result = ResponseFuture<()>;

    /// Reads no more, waits for the commits of what was read, and saves every detector.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        Box::pin(async move { drop(ended.wait_for(|&ended| ended).await) })
    }
}

impl Desk {
    async fn run(self: Rc<Self>, stop: watch::Receiver<bool>) {
        let mut housekeeping = Instant::now();
        let mut entries_per_partition = 16;
        while !*stop.borrow() {
            if housekeeping.elapsed() >= HOUSEKEEPING {
                self.keep_house().await;
                housekeeping = Instant::now();
            }
            let positions: Vec<(PartitionId, Position)> =
                self.state.borrow().partitions.iter().map(|(&id, partition)| (id, partition.read)).collect();
            if positions.is_empty() {
                tokio::time::sleep(READ_PATIENCE).await;
                continue;
            }
            match self.reader.read(&positions, entries_per_partition, READ_PATIENCE).await {
                Ok(read) if read.is_empty() => {}
                Ok(read) => {
                    let entries: usize = read.iter().map(|(_, entries)| entries.len()).sum();
                    let records = self.process(read).await;
                    entries_per_partition = next_count(positions.len() as u64, entries as u64, records);
                }
                Err(error) => {
                    tracing::warn!(%error, shard = self.label, "the log cannot be read; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.finish().await;
    }

    /// Scores what was read and sends its outcomes to the writer; returns the number of records.
    async fn process(self: &Rc<Self>, read: Vec<(PartitionId, Vec<crate::queue::LogEntry>)>) -> u64 {
        let (work, gaps) = self.collect(read);
        for gap in &gaps {
            self.report_gap(gap);
        }
        let records: usize = work.stretches.iter().map(|stretch| stretch.slots.len()).sum();
        let mut credits = BTreeMap::new();
        for stretch in &work.stretches {
            let credit = self.credits.acquire(stretch.slots.len().max(1) as u32).await;
            credits.insert(stretch.partition, credit);
        }
        let Work { stretches, jobs } = work;
        for stretch in &stretches {
            if let Some(Control::Detectors(json)) = stretch.control() {
                self.adopt(stretch.partition, json).await;
            }
        }
        let results = join_all(jobs.iter().map(|job| self.judge(job))).await;
        let mut judged = Vec::with_capacity(results.len());
        let mut checkpoints: BTreeMap<PartitionId, Vec<DueCheckpoint>> = BTreeMap::new();
        for (job, result) in jobs.iter().zip(results) {
            if let Ok((result, config)) = result {
                self.count(&result);
                let due = result
                    .checkpoint
                    .map(|checkpoint| DueCheckpoint { sensor: job.sensor.clone(), checkpoint });
                checkpoints.entry(job.partition).or_default().extend(due);
                judged.push(Judged { verdicts: result.verdicts, config });
            } else {
                self.reopen(job.partition);
                let config = self.nursery.options.detectors.of(&job.sensor);
                judged.push(Judged { verdicts: Vec::new(), config });
            }
        }
        let now = Instant::now();
        for stretch in stretches {
            let partition = stretch.partition;
            let credit = credits.remove(&partition).unwrap_or_else(Credit::unbounded);
            if !self.take_up(partition, stretch.epoch, stretch.to) {
                continue;
            }
            for job in jobs.iter().filter(|job| job.partition == partition) {
                self.state.borrow_mut().residents.touch(&job.sensor, stretch.to, now);
            }
            let batch = assemble(stretch, &jobs, &judged);
            self.send(batch, checkpoints.remove(&partition).unwrap_or_default(), credit);
        }
        records as u64
    }

    /// Takes the entries apart. Partitions that were lost while the read was on its way are left out.
    fn collect(&self, read: Vec<(PartitionId, Vec<crate::queue::LogEntry>)>) -> (Work, Vec<Gap>) {
        let state = self.state.borrow();
        let mut collector = Collector::default();
        for (id, mut entries) in read {
            let Some(partition) = state.partitions.get(&id) else { continue };
            // The partition may have been reopened at an earlier position while the read was on its way.
            entries.retain(|entry| entry.position > partition.read);
            cut_at_control(&mut entries);
            if !entries.is_empty() {
                collector.take(id, partition.epoch, partition.read, entries);
            }
        }
        collector.finish()
    }

    /// The verdicts on a job, whatever it takes, and the configuration they were made with.
    async fn judge(&self, job: &Job) -> Result<(JobResult, Arc<NamedConfig>), Unrecoverable> {
        let known = self.state.borrow().residents.get(&job.sensor);
        let resident = if let Some(resident) = known {
            resident
        } else {
            let config = self.config_of(job);
            let resident = self.nursery.bring_in(job.partition, &job.sensor, config).await?;
            self.state.borrow_mut().residents.insert(job.sensor.clone(), resident.clone());
            resident
        };
        if let Some(result) = self.nursery.score(&resident, job).await {
            return Ok((result, resident.config));
        }
        self.settle(job.partition).await;
        let result = self.nursery.score_carefully(&resident, job).await?;
        Ok((result, resident.config))
    }

    /// How a job's sensor is configured at its place in the log.
    fn config_of(&self, job: &Job) -> Arc<NamedConfig> {
        let state = self.state.borrow();
        let partition = state.partitions.get(&job.partition);
        partition.map_or(&self.nursery.options.detectors, |partition| &partition.detectors).of(&job.sensor)
    }

    /// What the log has said of the partition's detectors, or else what this node was started with.
    fn detectors_of(&self, partition: PartitionId, json: Option<&str>) -> Arc<DetectorConfigs> {
        let said = json.and_then(|json| match DetectorConfigs::from_json(json) {
            Ok(detectors) => Some(Arc::new(detectors)),
            Err(error) => {
                tracing::error!(%partition, %error, "the log's configuration of detectors cannot be read; using this node's own");
                None
            }
        });
        said.unwrap_or_else(|| Arc::clone(&self.nursery.options.detectors))
    }

    /// Configures the partition's sensors otherwise from here on. Everything before is committed first: a detector that is brought in anew
    /// starts from the rows.
    async fn adopt(&self, id: PartitionId, json: &str) {
        let detectors = self.detectors_of(id, Some(json));
        self.settle(id).await;
        let state = &mut *self.state.borrow_mut();
        if let Some(partition) = state.partitions.get_mut(&id) {
            state.residents.reconfigure(id, &detectors);
            partition.detectors = detectors;
        }
    }

    /// Waits until no commit of the partition is on its way.
    async fn settle(&self, partition: PartitionId) {
        loop {
            let settled = self.settled.notified();
            let in_flight =
                self.state.borrow().partitions.get(&partition).map_or(0, |partition| partition.in_flight);
            if in_flight == 0 {
                return;
            }
            settled.await;
        }
    }

    fn count(&self, result: &JobResult) {
        let metrics = &self.nursery.metrics;
        let scored = result.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Scored(_))).count();
        metrics.readings_scored.with_label_values(&[&self.label]).inc_by(scored as u64);
        metrics.scoring_seconds.with_label_values(&[&self.label]).inc_by(result.elapsed.as_secs_f64());
        for verdict in &result.verdicts {
            if let Verdict::Scored(detection) = verdict {
                metrics.count_detection(detection);
            }
        }
    }

    /// Moves the partition's reading on; false if the partition is not what it was when the read began.
    fn take_up(&self, id: PartitionId, epoch: i64, to: Position) -> bool {
        let mut state = self.state.borrow_mut();
        match state.partitions.get_mut(&id) {
            Some(partition) if partition.epoch == epoch => {
                partition.read = to;
                partition.in_flight += 1;
                true
            }
            _ => false,
        }
    }

    fn send(self: &Rc<Self>, batch: CommitBatch, checkpoints: Vec<DueCheckpoint>, credit: Credit) {
        let (partition, epoch, to) = (batch.partition, batch.epoch, batch.to);
        let received = batch.received.last().copied().unwrap_or_default();
        let (reply, outcome) = oneshot::channel();
        let writers = &self.nursery.peers.writers;
        let writer = &writers[usize::from(partition.0) % writers.len()];
        send_credited(writer, Commit { batch, reply, credit });
        let desk = Rc::clone(self);
        actix_rt::spawn(async move {
            let committed = matches!(outcome.await, Ok(CommitOutcome::Committed));
            if committed {
                desk.on_committed(partition, epoch, to, received, checkpoints);
            } else {
                desk.on_refused(partition, epoch);
            }
            desk.settled.notify_waiters();
        });
    }

    fn on_committed(
        &self,
        id: PartitionId,
        epoch: i64,
        to: Position,
        received: i64,
        checkpoints: Vec<DueCheckpoint>,
    ) {
        let mut state = self.state.borrow_mut();
        let current = state
            .partitions
            .get_mut(&id)
            .is_some_and(|partition| partition.on_committed(epoch, to, received));
        if !current {
            return;
        }
        for due in checkpoints {
            state.residents.note_saved(&due.sensor, due.checkpoint.seq);
            self.nursery.save_if_room(id, due);
        }
    }

    /// A commit was refused or its fate is unknown: what the detectors know may not be what the tables hold.
    fn on_refused(&self, id: PartitionId, epoch: i64) {
        let current =
            self.state.borrow().partitions.get(&id).is_some_and(|partition| partition.epoch == epoch);
        if current {
            self.reopen(id);
        }
    }

    /// Forgets the partition and asks for it anew.
    fn reopen(&self, partition: PartitionId) {
        self.close(partition);
        // At most one for each partition until it is assigned again.
        #[expect(clippy::disallowed_methods, reason = "bounded by the number of partitions")]
        self.nursery.peers.keeper.do_send(Reopen { partition });
    }

    fn close(&self, partition: PartitionId) {
        let mut state = self.state.borrow_mut();
        state.partitions.remove(&partition);
        state.residents.drop_partition(partition);
    }

    fn report_gap(&self, Gap { partition, after, before }: &Gap) {
        self.nursery.metrics.log_gaps.inc();
        tracing::error!(%partition, %after, %before, "the log has a gap: entries between these were acknowledged and are gone");
    }

    /// Reports a log that ends below what was committed: Redis lost what it had acknowledged.
    async fn check_tail(&self, partition: PartitionId, committed: Position) {
        if committed == Position::default() {
            return;
        }
        match self.reader.newest(partition).await {
            Ok(newest) if newest.is_none_or(|newest| newest < committed) => {
                let newest = newest.unwrap_or_default();
                self.nursery.metrics.log_gaps.inc();
                tracing::error!(%partition, %newest, %committed, "the log ends below the committed position: redis lost it");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, %partition, "the log's end cannot be read"),
        }
    }

    /// Trims, measures and retires.
    async fn keep_house(&self) {
        let now_micros = Utc::now().timestamp_micros();
        let partitions: Vec<(PartitionId, Position, i64)> = {
            let state = self.state.borrow();
            let place = |(&id, partition): (&PartitionId, &Partition)| {
                (id, partition.committed, partition.committed_received)
            };
            state.partitions.iter().map(place).collect()
        };
        let trims = partitions.iter().map(|&(id, committed, _)| self.reader.trim(id, committed));
        let (mut lag_entries, mut lag_seconds) = (0, 0.0_f64);
        for (&(_, _, received), left) in partitions.iter().zip(join_all(trims).await) {
            match left {
                Ok(0) => {}
                Ok(left) => {
                    lag_entries += left;
                    if received > 0 {
                        lag_seconds = lag_seconds.max((now_micros - received) as f64 / 1e6);
                    }
                }
                Err(error) => tracing::warn!(%error, shard = self.label, "the log was not trimmed"),
            }
        }
        let metrics = &self.nursery.metrics;
        metrics.shard_lag_entries.with_label_values(&[&self.label]).set(lag_entries as i64);
        metrics.shard_lag_seconds.with_label_values(&[&self.label]).set(lag_seconds);
        self.retire().await;
        let resident = self.state.borrow().residents.len();
        metrics.detectors.with_label_values(&[&self.label]).set(resident as i64);
    }

    async fn retire(&self) {
        let options = &self.nursery.options;
        let idle = {
            let mut state = self.state.borrow_mut();
            let State { partitions, residents } = &mut *state;
            let committed =
                |id| partitions.get(&id).map_or(Position::default(), |partition| partition.committed);
            residents.take_idle(Instant::now(), options.retire_after, options.max_resident, committed)
        };
        for resident in idle {
            self.nursery.save_last(&resident).await;
            self.nursery.metrics.detector_retirements.inc();
        }
    }

    /// Waits for the commits on their way and saves every detector.
    async fn finish(&self) {
        let ids: Vec<PartitionId> = self.state.borrow().partitions.keys().copied().collect();
        for id in ids {
            self.settle(id).await;
        }
        let residents = self.state.borrow_mut().residents.take_all();
        for resident in residents {
            self.nursery.save_last(&resident).await;
        }
    }
}

/// How many entries of each partition the next read asks for, so that it brings about as many readings as it aims at.
fn next_count(partitions: u64, entries: u64, records: u64) -> u64 {
    let records_per_entry = (records / entries.max(1)).max(1);
    (READ_TARGET / (partitions.max(1) * records_per_entry)).clamp(1, MOST_ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_asks_for_fewer_entries_the_more_they_hold() {
        assert_eq!(next_count(32, 64, 64), 128);
        assert_eq!(next_count(32, 10, 1_000), 1);
        assert_eq!(next_count(1, 0, 0), MOST_ENTRIES);
    }
}
