//! The detectors that a shard holds in memory: brought in from their past when a reading comes, retired when idle.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use thicket_schema::{Checkpoint, PartitionId, Position, Reading, Reason, SensorName};

use super::actor::{ShardOptions, ShardPeers};
use super::work::SensorBatch;
use crate::credit::{CreditPool, send_credited};
use thicket_detector::NamedConfig;
use crate::detector::{DetectorActor, DetectorConfigs};
use thicket_store::faults;
use crate::messages::{Load, Reconfigure, Restore, Save, Score, Skip, TakeCheckpoint, Verdict};
use crate::metrics::Metrics;
use thicket_store::postgres::QuarantineReason;
use crate::supervision::{Intensity, Supervision, start_here};

/// A detector panics once for each try of a poison reading; only a flood of them is a reason to give the node up.
const DETECTOR_RESTARTS: usize = 1_000;
const DETECTOR_RESTARTS_WITHIN: Duration = Duration::from_mins(1);

/// The detector of a sensor cannot be brought back on this node as things stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrecoverable;

/// A detector in memory.
#[derive(Clone, Debug)]
pub(super) struct CachedDetector {
    pub(super) sensor: SensorName,
    pub(super) detector: Addr<DetectorActor>,
    pub(super) partition: PartitionId,
    pub(super) config: Arc<NamedConfig>,
    pub(super) last_used: Instant,
    /// The last entry that held a reading of the sensor.
    pub(super) touched: Position,
    /// Seq of the newest checkpoint that was handed on.
    pub(super) saved: u64,
}

/// Why a job could not be scored to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScoreError {
    /// The reading of this index panicked the detector.
    At(usize),
    /// Nothing helps here.
    Unrecoverable,
}

impl From<Unrecoverable> for ScoreError {
    fn from(_: Unrecoverable) -> Self {
        Self::Unrecoverable
    }
}

/// What a job led to.
#[derive(Debug, Default)]
pub(super) struct JobResult {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) elapsed: Duration,
}

/// A checkpoint that may be written once the rows up to it are durable.
#[derive(Debug)]
pub(super) struct DueCheckpoint {
    pub(super) sensor: SensorName,
    pub(super) checkpoint: Checkpoint,
}

/// Brings detectors in and talks to them.
#[derive(Clone, Debug)]
pub(super) struct DetectorPool {
    pub(super) options: ShardOptions,
    pub(super) peers: ShardPeers,
    pub(super) metrics: Metrics,
    /// In KiB: checkpoints on their way to the checkpointer.
    pub(super) checkpoint_credits: CreditPool,
}

impl DetectorPool {
    /// Starts the detector of a sensor and gives it its past.
    pub(super) async fn spawn_and_restore(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        config: Arc<NamedConfig>,
    ) -> Result<CachedDetector, Unrecoverable> {
        let actor = DetectorActor::new(sensor.clone(), self.options.checkpoint_every);
        let supervision = Supervision {
            actor: "detector",
            intensity: Intensity::new(DETECTOR_RESTARTS, DETECTOR_RESTARTS_WITHIN),
            exit: self.peers.exit.clone(),
            restarts: self.metrics.actor_restarts.with_label_values(&["detector"]),
        };
        let mut cached = CachedDetector {
            sensor: sensor.clone(),
            detector: start_here(actor, supervision),
            partition,
            config,
            last_used: Instant::now(),
            touched: Position::default(),
            saved: 0,
        };
        cached.saved = self.restore(&cached, sensor).await?;
        Ok(cached)
    }

    /// Gives a detector its past; returns the seq of the checkpoint it was restored from. A checkpoint that does not lead to the stored scores,
    /// or that cannot be restored at all, is not believed: the rows suspect_lock then say what was.
    async fn restore(&self, cached: &CachedDetector, sensor: &SensorName) -> Result<u64, Unrecoverable> {
        faults::pass("restore.before");
        let mut use_checkpoint = true;
        loop {
            let (config, partition) = (Arc::clone(&cached.config), cached.partition);
            let load = Load { partition, sensor: sensor.clone(), config, use_checkpoint };
            let history = self.peers.checkpointer.send(load).await.map_err(|_| Unrecoverable)?;
            let saved = history.checkpoint.as_ref().map(|checkpoint| checkpoint.seq);
            let is_new = saved.is_none() && history.rows.is_empty() && history.before.is_empty();
            let restore = Restore { config: Arc::clone(&cached.config), history };
            let restored = cached.detector.send(restore).await;
            self.metrics
                .restore_mismatches
                .inc_by(restored.as_ref().map_or(0, |restored| restored.mismatches));
            let agrees =
                restored.as_ref().is_ok_and(|restored| restored.mismatches == 0 && !restored.unusable);
            if !agrees && saved.is_some() && use_checkpoint {
                tracing::error!(%sensor, "the checkpoint does not lead to the stored scores; rebuilding the detector from its rows");
                use_checkpoint = false;
                continue;
            }
            restored.map_err(|_| Unrecoverable)?;
            if !is_new {
                self.metrics.detector_restores.inc();
            }
            faults::pass("restore.after");
            return Ok(saved.unwrap_or(0));
        }
    }

    /// Scores a job, but for what is to be skipped, or says that the detector panicked.
    pub(super) async fn score(&self, cached: &CachedDetector, job: &SensorBatch) -> Option<JobResult> {
        let mut result = JobResult::default();
        let mut from = 0;
        for (&index, (skipped, detail)) in &job.skips {
            self.score_range(cached, job, from..index, &mut result).await?;
            result.verdicts.push(skip(cached, &job.readings[index], *skipped, detail).await?);
            from = index + 1;
        }
        self.score_range(cached, job, from..job.readings.len(), &mut result).await?;
        Some(result)
    }

    async fn score_range(
        &self,
        cached: &CachedDetector,
        job: &SensorBatch,
        range: Range<usize>,
        result: &mut JobResult,
    ) -> Option<()> {
        if range.is_empty() {
            return Some(());
        }
        let score = Score { readings: Arc::clone(&job.readings), from: range.start, to: range.end };
        let scores = cached.detector.send(score).await.ok()?.ok()?;
        result.verdicts.extend(scores.verdicts);
        result.elapsed += scores.elapsed;
        result.checkpoint = scores.checkpoint.or(result.checkpoint.take());
        Some(())
    }

    /// Scores a job one reading at a time. `before` is asked before each, and may have it skipped.
    pub(super) async fn score_singly(
        &self,
        cached: &CachedDetector,
        job: &mut SensorBatch,
        mut before: impl AsyncFnMut(usize) -> Result<Option<(QuarantineReason, String)>, Unrecoverable>,
    ) -> Result<JobResult, ScoreError> {
        let mut result = JobResult::default();
        for index in 0..job.readings.len() {
            if let Some(verdict) = before(index).await? {
                job.skips.entry(index).or_insert(verdict);
            }
            let scored = match job.skips.get(&index) {
                Some((skipped, detail)) => {
                    let verdict = skip(cached, &job.readings[index], *skipped, detail).await;
                    verdict.map(|verdict| result.verdicts.push(verdict))
                }
                None => self.score_range(cached, job, index..index + 1, &mut result).await,
            };
            if scored.is_none() {
                return Err(if cached.detector.connected() {
                    ScoreError::At(index)
                } else {
                    ScoreError::Unrecoverable
                });
            }
        }
        Ok(result)
    }

    /// Gives a detector its past anew. Everything that it scored must be committed.
    pub(super) async fn restore_again(&self, cached: &CachedDetector) -> Result<(), Unrecoverable> {
        self.restore(cached, &cached.sensor).await.map(drop)
    }

    /// Hands a checkpoint on if there is room for it; a checkpoint that is left out costs a longer replay.
    pub(super) fn save_if_room(&self, partition: PartitionId, due: DueCheckpoint) {
        let DueCheckpoint { sensor, checkpoint } = due;
        if let Some(credit) = self.checkpoint_credits.try_acquire(kib(&checkpoint)) {
            send_credited(&self.peers.checkpointer, Save { partition, sensor, checkpoint, credit });
        }
    }

    /// Takes a detector's state and hands it on, unless it is saved already. Everything it scored must be committed.
    pub(super) async fn save_last(&self, cached: &CachedDetector) {
        let Ok(Some(checkpoint)) = cached.detector.send(TakeCheckpoint).await else { return };
        if checkpoint.seq > cached.saved {
            let credit = self.checkpoint_credits.acquire(kib(&checkpoint)).await;
            let (partition, sensor) = (cached.partition, cached.sensor.clone());
            send_credited(&self.peers.checkpointer, Save { partition, sensor, checkpoint, credit });
        }
    }
}

/// What becomes of a reading that is skipped; nothing if the detector holds no state.
async fn skip(cached: &CachedDetector, reading: &Reading, skipped: QuarantineReason, detail: &str) -> Option<Verdict> {
    match skipped {
        QuarantineReason::Poison => {
            let is_newer = cached.detector.send(Skip { ts: reading.ts }).await.ok()?.ok()?;
            Some(if is_newer { Verdict::Poison } else { Verdict::NotNewer })
        }
        QuarantineReason::Unstorable => {
            Some(Verdict::Rejected { reason: Reason::Unstorable, detail: detail.to_owned() })
        }
    }
}

fn kib(checkpoint: &Checkpoint) -> u32 {
    (checkpoint.state.len() / 1_024 + 1) as u32
}

/// The detectors in memory, by sensor.
#[derive(Debug, Default)]
pub(super) struct DetectorCache {
    by_sensor: BTreeMap<SensorName, CachedDetector>,
}

impl DetectorCache {
    pub(super) fn get(&self, sensor: &SensorName) -> Option<CachedDetector> {
        self.by_sensor.get(sensor).cloned()
    }

    pub(super) fn insert(&mut self, sensor: SensorName, cached: CachedDetector) {
        self.by_sensor.insert(sensor, cached);
    }

    pub(super) fn touch(&mut self, sensor: &SensorName, position: Position, now: Instant) {
        if let Some(cached) = self.by_sensor.get_mut(sensor) {
            cached.touched = position;
            cached.last_used = now;
        }
    }

    pub(super) fn note_saved(&mut self, sensor: &SensorName, seq: u64) {
        if let Some(cached) = self.by_sensor.get_mut(sensor) {
            cached.saved = cached.saved.max(seq);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_sensor.len()
    }

    /// Gives the detectors of a partition, of which nothing is in flight, the configuration that holds from here on. One that is shaped otherwise
    /// now is dropped; its next reading brings it in anew.
    pub(super) fn reconfigure(&mut self, partition: PartitionId, detectors: &DetectorConfigs) {
        self.by_sensor.retain(|sensor, cached| {
            let config = detectors.of(sensor);
            if cached.partition != partition || cached.config.identity == config.identity {
                return true;
            }
            if cached.config.fingerprint != config.fingerprint {
                return false;
            }
            cached.config = Arc::clone(&config);
            // The mailbox keeps order, and nothing else is in it.
            #[expect(
                clippy::disallowed_methods,
                reason = "one for each detector and change of configuration"
            )]
            cached.detector.do_send(Reconfigure { config });
            true
        });
    }

    /// Drops the detectors of a partition that is not this shard's any more.
    pub(super) fn drop_partition(&mut self, partition: PartitionId) {
        self.by_sensor.retain(|_, cached| cached.partition != partition);
    }

    /// Takes out the detectors that have been idle too long, and the longest idle ones beyond the cap, as far as
    /// everything they scored is committed.
    pub(super) fn take_idle(
        &mut self,
        now: Instant,
        evict_after: Duration,
        cap: usize,
        committed: impl Fn(PartitionId) -> Position,
    ) -> Vec<CachedDetector> {
        let mut commit_finished: Vec<(Instant, SensorName)> = self
            .by_sensor
            .iter()
            .filter(|(_, cached)| cached.touched <= committed(cached.partition))
            .map(|(sensor, cached)| (cached.last_used, sensor.clone()))
            .collect();
        commit_finished.sort();
        let beyond_cap = self.len().saturating_sub(cap);
        let idle = |(rank, (last_used, _)): &(usize, (Instant, SensorName))| {
            *rank < beyond_cap || now.duration_since(*last_used) >= evict_after
        };
        let leaving = commit_finished.into_iter().enumerate().take_while(idle);
        leaving.filter_map(|(_, (_, sensor))| self.by_sensor.remove(&sensor)).collect()
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self) -> Vec<CachedDetector> {
        std::mem::take(&mut self.by_sensor).into_values().collect()
    }
}
