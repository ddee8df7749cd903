//! From what was read to what is committed: the log's entries become jobs, the jobs verdicts, the verdicts a batch of rows.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use thicket_detector::Label;
use thicket_schema::{Control, PartitionId, SensorName, Timestamp};

use super::assemble::{ScoredBatch, assemble};
use super::desk::Desk;
use super::cache::{DueCheckpoint, JobResult, CachedDetector, ScoreError, Unrecoverable};
use super::work::{Collector, SensorBatch, LogRange, Work, cut_at_control};
use crate::credit::Credit;
use thicket_detector::NamedConfig;
use crate::detector::DetectorConfigs;
use crate::messages::{Quarantine, ApplyLabel, Verdict};
use thicket_store::postgres::{QuarantineEntry, QuarantineReason};
use thicket_protocol::progress::Progress;
use thicket_store::postgres::AppliedLabel;

/// The verdicts on a job and the configuration they were made with.
pub(super) type Outcome = Result<(JobResult, Arc<NamedConfig>), Unrecoverable>;

impl Desk {
    /// Scores what was read, under the epochs at which it was asked for, and sends its outcomes to the writer; returns the number of records.
    pub(super) async fn process(
        self: &Rc<Self>,
        read: Vec<(PartitionId, Vec<thicket_store::redis::LogEntry>)>,
        epochs: &BTreeMap<PartitionId, i64>,
    ) -> u64 {
        let work = self.collect(read, epochs);
        let records: usize = work.ranges.iter().map(|range| range.slots.len()).sum();
        // At once for all of them: one that waits while others hold what it waits for would wait for ever.
        let units = |range: &LogRange| range.slots.len().max(1) as u32;
        let mut all = self.credits.acquire(work.ranges.iter().map(units).sum()).await;
        let mut credits: BTreeMap<PartitionId, Credit> =
            work.ranges.iter().map(|range| (range.partition, all.split(units(range)))).collect();
        drop(all);
        let Work { mut ranges, jobs } = work;
        for range in &mut ranges {
            match range.control().cloned() {
                Some(Control::Detectors(json)) => self.apply_config(range.partition, range.epoch, &json).await,
                Some(Control::Label { sensor, started, label }) => {
                    range.heard = self.apply_label(range, &sensor, started, &label).await;
                }
                _ => {}
            }
        }
        let results = self.score_all(&ranges, &jobs).await;
        let mut judged = Vec::with_capacity(results.len());
        let mut checkpoints: BTreeMap<PartitionId, Vec<DueCheckpoint>> = BTreeMap::new();
        for (job, result) in jobs.iter().zip(results) {
            if let Ok((result, config)) = result {
                self.count(&result);
                let due = result
                    .checkpoint
                    .map(|checkpoint| DueCheckpoint { sensor: job.sensor.clone(), checkpoint });
                checkpoints.entry(job.partition).or_default().extend(due);
                judged.push(ScoredBatch { verdicts: result.verdicts, config });
            } else {
                self.reopen(job.partition);
                let config = self.pool.options.detectors.of(&job.sensor);
                judged.push(ScoredBatch { verdicts: Vec::new(), config });
            }
        }
        let now = Instant::now();
        for range in ranges {
            let partition = range.partition;
            let credit = credits.remove(&partition).unwrap_or_else(Credit::unbounded);
            if !self.advance_read(partition, range.epoch, range.to) {
                // It was assigned anew meanwhile, from an earlier place: what detectors have just learnt is ahead of that.
                self.state.borrow_mut().cache.drop_partition(partition);
                continue;
            }
            for job in jobs.iter().filter(|job| job.partition == partition) {
                self.state.borrow_mut().cache.touch(&job.sensor, range.to, now);
            }
            let batch = assemble(range, &jobs, &judged);
            self.send(batch, checkpoints.remove(&partition).unwrap_or_default(), credit);
        }
        records as u64
    }

    /// Takes the entries apart. Partitions that were lost or reopened while the read was on its way are left out.
    fn collect(
        &self,
        read: Vec<(PartitionId, Vec<thicket_store::redis::LogEntry>)>,
        epochs: &BTreeMap<PartitionId, i64>,
    ) -> Work {
        let state = self.state.borrow();
        let mut collector = Collector::default();
        for (id, mut entries) in read {
            let Some(partition) = state.partitions.get(&id) else { continue };
            if !epochs.get(&id).is_some_and(|&asked_under| partition.progress.is_current(asked_under)) {
                continue;
            }
            entries.retain(|entry| partition.progress.is_unread(entry.position));
            let first = entries.first().map(|entry| entry.position);
            let limit = partition.caution().zip(first).and_then(|(caution, first)| caution.limit(first));
            entries.retain(|entry| limit.is_none_or(|limit| entry.position <= limit));
            cut_at_control(&mut entries);
            if !entries.is_empty() {
                let Progress { epoch, read, .. } = partition.progress;
                collector.take(id, epoch, read, &partition.verdicts, entries);
            }
        }
        collector.finish()
    }

    /// The verdicts on all jobs. What may kill the process goes first, and suspect_lock.
    async fn score_all(self: &Rc<Self>, ranges: &[LogRange], jobs: &[SensorBatch]) -> Vec<Outcome> {
        let narrow = self.record_suspects(ranges).await;
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        for job in jobs {
            outcomes.push(match narrow.get(&job.partition) {
                Some(&narrow) => Some(self.score_suspects(job, narrow).await),
                None => None,
            });
        }
        let rest = jobs.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_none());
        let mut rest = join_all(rest.map(|(job, _)| self.score_batch(job))).await.into_iter();
        outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| rest.next())).collect()
    }

    /// The verdicts on a job, whatever it takes, and the configuration they were made with.
    async fn score_batch(&self, job: &SensorBatch) -> Outcome {
        let cached = self.cached(job.partition, &job.sensor).await?;
        if let Some(result) = self.pool.score(&cached, job).await {
            return Ok((result, cached.config));
        }
        self.wait_for_commits(job.partition).await;
        self.pool.restore_again(&cached).await?;
        let result = self.score_one_by_one(&cached, job, async |_| Ok(None)).await?;
        Ok((result, cached.config))
    }

    /// Scores a job one reading at a time. One that panics its detector is poison and is skipped from then on, in every replay.
    pub(super) async fn score_one_by_one(
        &self,
        cached: &CachedDetector,
        job: &SensorBatch,
        mut before: impl AsyncFnMut(usize) -> Result<Option<(QuarantineReason, String)>, Unrecoverable>,
    ) -> Result<JobResult, Unrecoverable> {
        let mut job = job.clone();
        loop {
            let index = match self.pool.score_singly(cached, &mut job, &mut before).await {
                Ok(result) => return Ok(result),
                Err(ScoreError::At(index)) => index,
                Err(ScoreError::Unrecoverable) => return Err(Unrecoverable),
            };
            let poison = (QuarantineReason::Poison, "it panicked its detector twice".to_owned());
            self.decide(&job, index, &poison).await?;
            job.skips.insert(index, poison);
            self.wait_for_commits(job.partition).await;
            self.pool.restore_again(cached).await?;
        }
    }

    /// Makes a verdict on a reading durable.
    pub(super) async fn decide(
        &self,
        job: &SensorBatch,
        index: usize,
        (skipped, detail): &(QuarantineReason, String),
    ) -> Result<(), Unrecoverable> {
        let SensorBatch { partition, epoch, sensor, readings, places, .. } = job;
        let (place, ts) = (places[index], readings[index].ts);
        tracing::error!(%sensor, %ts, %place, why = detail, "skipping a reading");
        let decision = QuarantineEntry {
            partition: *partition,
            epoch: *epoch,
            place,
            skipped: *skipped,
            sensor: sensor.clone(),
            ts,
            detail: detail.clone(),
        };
        match self.pool.peers.keeper.send(Quarantine(decision)).await {
            Ok(true) => Ok(()),
            _ => Err(Unrecoverable),
        }
    }

    /// A sensor's detector, brought in from its past if it is not in memory.
    pub(super) async fn cached(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
    ) -> Result<CachedDetector, Unrecoverable> {
        let known = self.state.borrow().cache.get(sensor);
        if let Some(cached) = known {
            return Ok(cached);
        }
        let config = self.config_of(partition, sensor);
        let cached = self.pool.spawn_and_restore(partition, sensor, config).await?;
        self.state.borrow_mut().cache.insert(sensor.clone(), cached.clone());
        Ok(cached)
    }

    /// How a sensor is configured at the place in the log up to which its partition is read.
    fn config_of(&self, partition: PartitionId, sensor: &SensorName) -> Arc<NamedConfig> {
        let state = self.state.borrow();
        let partition = state.partitions.get(&partition);
        partition.map_or(&self.pool.options.detectors, |partition| &partition.detectors).of(sensor)
    }

    /// Tells a detector what a person says of an anomaly of its sensor. Everything before is committed first: a detector that is brought in
    /// starts from the rows.
    async fn apply_label(
        &self,
        range: &LogRange,
        sensor: &SensorName,
        started: Timestamp,
        label: &str,
    ) -> Option<AppliedLabel> {
        let label = Label::from_name(label)?;
        let partition = range.partition;
        self.wait_for_commits(partition).await;
        if !self.is_current(partition, range.epoch) {
            return None;
        }
        let Ok(cached) = self.cached(partition, sensor).await else {
            self.reopen(partition);
            return None;
        };
        // It is not to be retired before what it hears is committed.
        self.state.borrow_mut().cache.touch(sensor, range.to, Instant::now());
        let seq = cached.detector.send(ApplyLabel { started, label }).await.ok()??;
        Some(AppliedLabel { sensor: sensor.id().0, seq, started, label })
    }

    /// What the log has said of the partition's detectors, or else what this node was started with.
    pub(super) fn parse_config_or_default(&self, partition: PartitionId, json: Option<&str>) -> Arc<DetectorConfigs> {
        let said = json.and_then(|json| match DetectorConfigs::from_json(json) {
            Ok(detectors) => Some(Arc::new(detectors)),
            Err(error) => {
                tracing::error!(%partition, %error, "the log's configuration of detectors cannot be read; using this node's own");
                None
            }
        });
        said.unwrap_or_else(|| Arc::clone(&self.pool.options.detectors))
    }

    /// Whether the partition is still what it was when the read began.
    fn is_current(&self, id: PartitionId, epoch: i64) -> bool {
        self.state.borrow().partitions.get(&id).is_some_and(|partition| partition.progress.epoch == epoch)
    }

    /// Configures the partition's sensors otherwise from here on. Everything before is committed first: a detector that is brought in anew
    /// starts from the rows.
    async fn apply_config(&self, id: PartitionId, epoch: i64, json: &str) {
        let detectors = self.parse_config_or_default(id, Some(json));
        self.wait_for_commits(id).await;
        if !self.is_current(id, epoch) {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        if let Some(partition) = state.partitions.get_mut(&id) {
            state.cache.reconfigure(id, &detectors);
            partition.detectors = detectors;
        }
    }

    fn count(&self, result: &JobResult) {
        let metrics = &self.pool.metrics;
        let scored = result.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Scored(_))).count();
        metrics.readings_scored.with_label_values(&[&self.label]).inc_by(scored as u64);
        metrics.scoring_seconds.with_label_values(&[&self.label]).inc_by(result.elapsed.as_secs_f64());
        for verdict in &result.verdicts {
            if let Verdict::Scored(detection) = verdict {
                metrics.count_detection(detection);
            }
        }
    }
}
