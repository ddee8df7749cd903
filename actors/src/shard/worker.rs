//! The loop of a shard: read → collect → score → assemble → send.

mod leaving;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thicket_schema::{PartitionId, Position};
use thicket_store::complaints;
use thicket_store::postgres::{ClaimedPartition, CommitBatch};
use thicket_store::redis::{LogEntry, LogReader};
use thicket_store::retry::Backoff;
use tokio::sync::{oneshot, watch};

use self::leaving::Leaving;
use super::assemble::assemble;
use super::collect::{Collector, LogRange, ReadBatch, SensorBatch, UnknownEntry, cut_at_control};
use super::detector_pool::{DetectorPool, DueCheckpoint};
use super::housekeeping::{self, Housekeeping};
use super::options::ShardContext;
use super::partitions::{Partition, Partitions, Readiness};
use super::scoring::{ScoredBatch, Scorer};
use super::suspect_log::SuspectLog;
use crate::credit::{Credit, CreditPool, send_credited};
use crate::messages::{Commit, CommitOutcome, HandOver, HandedOver, Refuse, Reopen};

/// How long a read waits for entries. A partition that is assigned during a read is part of the
/// next read.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// About how many readings one read should return at most.
const READ_TARGET: u64 = 4_096;
/// About how many readings the first reads should return. Each of them may need a detector, whose
/// size is not known yet.
const FIRST_TARGET: u64 = 256;
/// Maximum number of entries of each partition that one read asks for.
const MAX_ENTRIES: u64 = 256;
/// Entries of each partition that the first read asks for.
const FIRST_ENTRIES: u64 = 1;

/// The result of one read: the entries of each partition, and the epoch under which each partition
/// was read.
struct Read {
    entries: Vec<(PartitionId, Vec<LogEntry>)>,
    epochs: BTreeMap<PartitionId, i64>,
}

/// The parts of a shard, each with its own state. All of them run on one arbiter.
pub(super) struct ShardWorker {
    context: Rc<ShardContext>,
    reader: LogReader,
    pub(super) partitions: Rc<Partitions>,
    detectors: Rc<DetectorPool>,
    suspects: Rc<SuspectLog>,
    scorer: Scorer,
    housekeeping: Housekeeping,
    credits: CreditPool,
    leaving: Leaving,
}

impl ShardWorker {
    pub(super) fn new(context: Rc<ShardContext>, reader: LogReader) -> Self {
        let partitions = Rc::<Partitions>::default();
        let detectors = Rc::new(DetectorPool::new(Rc::clone(&context), Rc::clone(&partitions)));
        let suspects = Rc::new(SuspectLog::new(context.peers.suspects.clone()));
        let scorer = Scorer {
            context: Rc::clone(&context),
            partitions: Rc::clone(&partitions),
            detectors: Rc::clone(&detectors),
            suspects: Rc::clone(&suspects),
        };
        let housekeeping = Housekeeping {
            context: Rc::clone(&context),
            reader: reader.clone(),
            partitions: Rc::clone(&partitions),
            detectors: Rc::clone(&detectors),
            behind: RefCell::default(),
        };
        let credits = CreditPool::new(context.options.max_in_flight);
        let leaving = Leaving::default();
        Self { context, reader, partitions, detectors, suspects, scorer, housekeeping, credits, leaving }
    }

    /// Runs the loop until `stop` is set, waits for the commits in flight, and saves every detector.
    /// Trims the logs and measures the lag meanwhile.
    pub(super) async fn run(self: Rc<Self>, stop: watch::Receiver<bool>) {
        tokio::select! {
            () = Rc::clone(&self).work(stop) => {}
            never = self.housekeeping.watch_logs() => match never {},
        }
    }

    async fn work(self: Rc<Self>, stop: watch::Receiver<bool>) {
        let mut last_housekeeping = Instant::now();
        let (mut target, mut entries_per_partition) = (FIRST_TARGET, FIRST_ENTRIES);
        let mut backoff = Backoff::default();
        let finish = |message, sender| Rc::clone(&self).finish(message, sender);
        while !*stop.borrow() {
            self.leaving.begin(finish);
            if last_housekeeping.elapsed() >= housekeeping::INTERVAL {
                self.housekeeping.run().await;
                last_housekeeping = Instant::now();
            }
            let Some(read) = self.read(entries_per_partition, &mut backoff).await else { continue };
            entries_per_partition = self.process(read, target).await;
            self.housekeeping.make_room().await;
            target = next_target(target, self.detectors.half());
        }
        self.leaving.begin(finish);
        self.leaving.end().await;
        for id in self.partitions.ids() {
            self.partitions.wait_for_commits(id).await;
        }
        self.detectors.save_all().await;
    }

    /// Processes the result of one read: collect → score → assemble → send. Returns how many
    /// entries of each partition the next read asks for, to return about `target` readings.
    async fn process(self: &Rc<Self>, read: Read, target: u64) -> u64 {
        let partitions = read.epochs.len() as u64;
        let entries: usize = read.entries.iter().map(|(_, entries)| entries.len()).sum();
        let mut batch = self.collect(read);
        let records = batch.records();
        let mut credits = self.acquire_credits(&batch.ranges).await;
        for range in &mut batch.ranges {
            self.apply_control(range).await;
        }
        let (scored, mut checkpoints) = self.score(&batch).await;
        let refused = std::mem::take(&mut batch.refused);
        for range in batch.ranges {
            let partition = range.partition;
            if !self.advance(&range, &batch.sensors) {
                continue;
            }
            let mut commit = assemble(range, &batch.sensors, &scored);
            commit.reshaped = self.detectors.take_reshaped(partition);
            // Until it is done, a restore would find what is stored of the sensor.
            let forgets = commit.forgotten.is_some();
            let credit = credits.remove(&partition).unwrap_or_else(Credit::unbounded);
            self.send(commit, checkpoints.remove(&partition).unwrap_or_default(), credit);
            if forgets {
                self.partitions.wait_for_commits(partition).await;
            }
        }
        for refused in refused {
            self.refuse(refused).await;
        }
        next_count(partitions, entries as u64, records, target)
    }

    /// Reads the entries after the read position of each partition. Returns `None` if there are
    /// none, or if Redis does not answer.
    async fn read(&self, entries_per_partition: u64, backoff: &mut Backoff) -> Option<Read> {
        let readable = self.partitions.readable();
        let positions: Vec<(PartitionId, Position)> =
            readable.iter().map(|&(id, progress)| (id, progress.read)).collect();
        if positions.is_empty() {
            tokio::time::sleep(READ_TIMEOUT).await;
            return None;
        }
        match self.reader.read(&positions, entries_per_partition, READ_TIMEOUT).await {
            Ok(entries) => {
                backoff.reset();
                let epochs = readable.into_iter().map(|(id, progress)| (id, progress.epoch)).collect();
                (!entries.is_empty()).then_some(Read { entries, epochs })
            }
            Err(error) => {
                if let Some(repeated) = complaints::due("read a log", &error) {
                    tracing::warn!(%error, shard = self.context.label, repeated, "cannot read the log; retrying");
                }
                backoff.wait().await;
                None
            }
        }
    }

    /// Decodes the entries. Leaves out the partitions that were revoked or reopened during the
    /// read.
    fn collect(&self, read: Read) -> ReadBatch {
        let mut collector = Collector::default();
        for (id, mut entries) in read.entries {
            let Some(partition) = self.partitions.get(id, Partition::clone) else { continue };
            let Some(&read_under) = read.epochs.get(&id) else { continue };
            if !partition.progress.is_current(read_under) {
                continue;
            }
            entries.retain(|entry| partition.progress.is_unread(entry.position));
            let first = entries.first().map(|entry| entry.position);
            let limit = partition.search().zip(first).and_then(|(search, first)| search.limit(first));
            entries.retain(|entry| limit.is_none_or(|limit| entry.position <= limit));
            cut_at_control(&mut entries);
            if !entries.is_empty() {
                collector.add(id, partition.progress, &partition.claimed.quarantine, entries);
            }
        }
        collector.finish()
    }

    /// Acquires the credits of all ranges at once: a round that held the credits of some ranges and
    /// waited for the others could wait for itself without end.
    async fn acquire_credits(&self, ranges: &[LogRange]) -> BTreeMap<PartitionId, Credit> {
        let units = |range: &LogRange| range.slots.len().max(1) as u32;
        let mut all = self.credits.acquire(ranges.iter().map(units).sum()).await;
        ranges.iter().map(|range| (range.partition, all.split(units(range)))).collect()
    }

    /// Applies the control entry of a range, if the range is a control entry.
    async fn apply_control(&self, range: &mut LogRange) {
        let is_applied = self.scorer.apply_control(range).await;
        if is_applied.is_err() {
            self.reopen(range.partition);
        }
    }

    /// Scores the readings of each sensor. Reopens the partitions whose detectors cannot be
    /// restored.
    async fn score(
        &self,
        batch: &ReadBatch,
    ) -> (Vec<ScoredBatch>, BTreeMap<PartitionId, Vec<DueCheckpoint>>) {
        let results = self.scorer.score_all(&batch.ranges, &batch.sensors).await;
        let mut scored = Vec::with_capacity(results.len());
        let mut checkpoints: BTreeMap<PartitionId, Vec<DueCheckpoint>> = BTreeMap::new();
        for (sensor, result) in batch.sensors.iter().zip(results) {
            let mut result = result.unwrap_or_else(|_| {
                self.reopen(sensor.partition);
                ScoredBatch::empty(self.context.options.detectors.of(&sensor.sensor))
            });
            let due = result.checkpoint.take();
            let due = due.map(|checkpoint| DueCheckpoint { sensor: sensor.sensor.clone(), checkpoint });
            checkpoints.entry(sensor.partition).or_default().extend(due);
            scored.push(result);
        }
        (scored, checkpoints)
    }

    /// Advances the read position over a range. Returns false if the partition was assigned again
    /// meanwhile. Then its detectors have scored readings after the new read position, and are
    /// dropped.
    fn advance(&self, range: &LogRange, sensors: &[SensorBatch]) -> bool {
        if !self.partitions.advance_read(range.partition, range.epoch, range.to) {
            self.detectors.drop_partition(range.partition);
            return false;
        }
        for sensor in sensors.iter().filter(|sensor| sensor.partition == range.partition) {
            self.detectors.touch(&sensor.sensor, range.to);
        }
        true
    }

    /// Sends a batch to the writer of its partition. Its checkpoints are saved once its rows are
    /// durable.
    fn send(self: &Rc<Self>, batch: CommitBatch, checkpoints: Vec<DueCheckpoint>, credit: Credit) {
        let (partition, epoch, to) = (batch.partition, batch.epoch, batch.to);
        let (losses, forgotten) = (batch.losses.clone(), batch.forgotten);
        #[cfg(feature = "faults")]
        let checkpoints = super::broken::save_before_rows(&self.detectors, partition, checkpoints);
        let (reply, outcome) = oneshot::channel();
        let writers = &self.context.peers.writers;
        send_credited(&writers[usize::from(partition.0) % writers.len()], Commit { batch, reply, credit });
        let worker = Rc::clone(self);
        actix_rt::spawn(async move {
            let outcome = outcome.await;
            if matches!(outcome, Ok(CommitOutcome::Committed)) {
                // Not before the commit: a node that has lost the partition may see gaps that are
                // none, since the new owner trims the log.
                worker.housekeeping.report_losses(partition, &losses);
                if worker.partitions.on_committed(partition, epoch, to) {
                    if let Some((sensor, _)) = forgotten {
                        worker.partitions.get(partition, |partition| partition.forget(sensor));
                    }
                    worker.on_committed(partition, to, checkpoints);
                }
            } else if worker.partitions.is_current(partition, epoch) {
                // The commit was refused, or its outcome is unknown. The detectors may differ from
                // the tables. Of a partition that this shard has closed, a refusal is no surprise.
                if matches!(outcome, Ok(CommitOutcome::Fenced)) {
                    tracing::warn!(%partition, epoch, "commit refused: another node owns the partition");
                    worker.context.metrics.commits_fenced.inc();
                }
                worker.reopen(partition);
            }
            worker.partitions.notify_commit_finished();
        });
    }

    fn on_committed(&self, partition: PartitionId, to: Position, checkpoints: Vec<DueCheckpoint>) {
        if self.partitions.end_search(partition, to) {
            let suspects = Rc::clone(&self.suspects);
            actix_rt::spawn(async move { suspects.clear(partition).await });
        }
        for due in checkpoints {
            self.detectors.save_if_room(partition, due);
        }
    }

    /// Begins to process a partition that was assigned to this shard.
    pub(super) fn open(&self, claimed: &Arc<ClaimedPartition>) {
        let ClaimedPartition { partition, epoch, position, .. } = **claimed;
        tracing::debug!(%partition, epoch, %position, "partition assigned");
        let detectors = self.scorer.parse_config_or_default(partition, claimed.detectors.as_deref());
        self.detectors.drop_partition(partition);
        self.partitions.insert(partition, Partition::new(Arc::clone(claimed), detectors));
    }

    /// Checks that Redis has the committed entries. If the last owner crashed, loads which entries
    /// are suspected; the partition is not read before.
    pub(super) async fn examine(&self, claimed: &ClaimedPartition) {
        let ClaimedPartition { partition, epoch, position, .. } = *claimed;
        self.housekeeping.check_tail(partition, position).await;
        if !claimed.clean_shutdown {
            let search = self.suspects.load(&self.reader, partition, position).await;
            self.partitions.change(partition, epoch, |partition| {
                partition.readiness = Readiness::Ready(search);
            });
        }
    }

    /// Drops a partition and asks the keeper to assign it again.
    fn reopen(&self, partition: PartitionId) {
        self.close(partition);
        #[expect(clippy::disallowed_methods, reason = "one per partition until it is assigned again")]
        self.context.peers.reopen.do_send(Reopen { partition });
    }

    /// Leaves a partition to a newer build, once everything before the entry is committed.
    async fn refuse(&self, unknown: UnknownEntry) {
        let UnknownEntry { partition, epoch, position, cause } = unknown;
        self.partitions.wait_for_commits(partition).await;
        if self.partitions.is_current(partition, epoch) {
            let is_clean = self.partitions.get(partition, Partition::is_clean).unwrap_or(false);
            let refuse = Refuse { partition, epoch, entry: position, cause, is_clean };
            self.close(partition);
            #[expect(clippy::disallowed_methods, reason = "one per partition until it is assigned again")]
            self.context.peers.refuse.do_send(refuse);
        }
    }

    /// Stops reading a partition that another node should own. Returns a receiver of the answer; the
    /// sender is dropped if this node loses the partition meanwhile.
    pub(super) fn stop_reading(&self, message: HandOver) -> oneshot::Receiver<HandedOver> {
        let (sender, finished) = oneshot::channel();
        let HandOver { partition, epoch } = message;
        if self.partitions.change(partition, epoch, |partition| partition.is_leaving = true).is_some() {
            self.leaving.add(message, sender);
        }
        finished
    }

    async fn finish(self: Rc<Self>, message: HandOver, finished: oneshot::Sender<HandedOver>) {
        let HandOver { partition, epoch } = message;
        self.partitions.wait_for_commits(partition).await;
        if !self.partitions.is_current(partition, epoch) {
            return;
        }
        self.detectors.save_partition(partition).await;
        if !self.partitions.is_current(partition, epoch) {
            return;
        }
        let is_clean = self.partitions.get(partition, Partition::is_clean).unwrap_or(false);
        self.close(partition);
        // The keeper is gone if the node ends.
        let _ = finished.send(HandedOver { is_clean });
    }

    /// Drops all partitions and detectors, and asks the keeper to assign the partitions again.
    pub(super) fn reopen_all(&self) {
        self.detectors.drop_all();
        for partition in self.partitions.ids() {
            self.reopen(partition);
        }
    }

    /// Drops partitions and their detectors at once. The returned future then withdraws the readings
    /// that are recorded as suspects: this shard does not apply them now, and never will.
    pub(super) fn abandon(&self, partitions: Vec<PartitionId>) -> impl Future<Output = ()> + 'static {
        let searched = self.partitions.searched();
        for &partition in &partitions {
            self.close(partition);
        }
        let suspects = Rc::clone(&self.suspects);
        async move {
            for partition in partitions.into_iter().filter(|partition| searched.contains(partition)) {
                suspects.withdraw(partition).await;
            }
        }
    }

    /// Drops a partition and its detectors.
    pub(super) fn close(&self, partition: PartitionId) {
        self.partitions.remove(partition);
        self.detectors.drop_partition(partition);
    }
}

/// How many entries of each partition the next read asks for, so that it returns about `target`
/// readings.
fn next_count(partitions: u64, entries: u64, records: u64, target: u64) -> u64 {
    let records_per_entry = (records / entries.max(1)).max(1);
    (target / (partitions.max(1) * records_per_entry)).clamp(1, MAX_ENTRIES)
}

/// About how many readings the read after the next one should return: more and more, but not more
/// than the number of detectors that `half` of the memory holds.
fn next_target(target: u64, half: Option<u64>) -> u64 {
    (2 * target).min(READ_TARGET).min(half.unwrap_or(u64::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_asks_for_fewer_entries_the_more_they_hold() {
        assert_eq!(next_count(32, 64, 64, READ_TARGET), 128);
        assert_eq!(next_count(32, 10, 1_000, READ_TARGET), 1);
        assert_eq!(next_count(1, 0, 0, READ_TARGET), MAX_ENTRIES);
    }

    #[test]
    fn a_read_asks_for_no_more_sensors_than_half_of_the_memory_holds() {
        assert_eq!(next_target(FIRST_TARGET, None), 2 * FIRST_TARGET);
        assert_eq!(next_target(READ_TARGET, Some(100_000)), READ_TARGET);
        assert_eq!(next_target(READ_TARGET, Some(40)), 40);
        assert_eq!(next_target(40, Some(0)), 1);
    }
}
