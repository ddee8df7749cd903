//! The detectors that a shard holds in memory: brought in from their past when a reading comes, retired when idle.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use thicket_schema::{Checkpoint, PartitionId, Position, Reading, Reason, SensorName};

use super::actor::{ShardOptions, ShardPeers};
use super::work::Job;
use crate::credit::{CreditPool, send_credited};
use crate::detector::{DetectorActor, DetectorConfigs, NamedConfig};
use crate::faults;
use crate::messages::{Load, Reconfigure, Restore, Save, Score, Skip, TakeCheckpoint, Verdict};
use crate::metrics::Metrics;
use crate::ownership::Skipped;
use crate::supervision::{Intensity, Supervision, start_here};

/// A detector panics once for each try of a poison reading; only a flood of them is a reason to give the node up.
const DETECTOR_RESTARTS: usize = 1_000;
const DETECTOR_RESTARTS_WITHIN: Duration = Duration::from_mins(1);

/// The detector of a sensor cannot be brought back on this node as things stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrecoverable;

/// A detector in memory.
#[derive(Clone, Debug)]
pub(super) struct Resident {
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
pub(super) enum Stumbled {
    /// The reading of this index panicked the detector.
    At(usize),
    /// Nothing helps here.
    Unrecoverable,
}

impl From<Unrecoverable> for Stumbled {
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
pub(super) struct Nursery {
    pub(super) options: ShardOptions,
    pub(super) peers: ShardPeers,
    pub(super) metrics: Metrics,
    /// In KiB: checkpoints on their way to the checkpointer.
    pub(super) checkpoint_credits: CreditPool,
}

impl Nursery {
    /// Starts the detector of a sensor and gives it its past.
    pub(super) async fn bring_in(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        config: Arc<NamedConfig>,
    ) -> Result<Resident, Unrecoverable> {
        let actor = DetectorActor::new(sensor.clone(), self.options.checkpoint_every);
        let supervision = Supervision {
            actor: "detector",
            intensity: Intensity::new(DETECTOR_RESTARTS, DETECTOR_RESTARTS_WITHIN),
            exit: self.peers.exit.clone(),
            restarts: self.metrics.actor_restarts.with_label_values(&["detector"]),
        };
        let mut resident = Resident {
            sensor: sensor.clone(),
            detector: start_here(actor, supervision),
            partition,
            config,
            last_used: Instant::now(),
            touched: Position::default(),
            saved: 0,
        };
        resident.saved = self.restore(&resident, sensor).await?;
        Ok(resident)
    }

    /// Gives a detector its past; returns the seq of the checkpoint it was restored from. A checkpoint that does not lead to the stored scores,
    /// or that cannot be restored at all, is not believed: the rows alone then say what was.
    async fn restore(&self, resident: &Resident, sensor: &SensorName) -> Result<u64, Unrecoverable> {
        faults::pass("restore.before");
        let mut trusted = true;
        loop {
            let (config, partition) = (Arc::clone(&resident.config), resident.partition);
            let load = Load { partition, sensor: sensor.clone(), config, trusted };
            let history = self.peers.checkpointer.send(load).await.map_err(|_| Unrecoverable)?;
            let saved = history.checkpoint.as_ref().map(|checkpoint| checkpoint.seq);
            let is_new = saved.is_none() && history.rows.is_empty() && history.before.is_empty();
            let restore = Restore { config: Arc::clone(&resident.config), history };
            let restored = resident.detector.send(restore).await;
            self.metrics
                .restore_mismatches
                .inc_by(restored.as_ref().map_or(0, |restored| restored.mismatches));
            let agrees =
                restored.as_ref().is_ok_and(|restored| restored.mismatches == 0 && !restored.unusable);
            if !agrees && saved.is_some() && trusted {
                tracing::error!(%sensor, "the checkpoint does not lead to the stored scores; rebuilding the detector from its rows");
                trusted = false;
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
    pub(super) async fn score(&self, resident: &Resident, job: &Job) -> Option<JobResult> {
        let mut result = JobResult::default();
        let mut from = 0;
        for (&index, (skipped, detail)) in &job.skips {
            self.score_range(resident, job, from..index, &mut result).await?;
            result.verdicts.push(skip(resident, &job.readings[index], *skipped, detail).await?);
            from = index + 1;
        }
        self.score_range(resident, job, from..job.readings.len(), &mut result).await?;
        Some(result)
    }

    async fn score_range(
        &self,
        resident: &Resident,
        job: &Job,
        range: Range<usize>,
        result: &mut JobResult,
    ) -> Option<()> {
        if range.is_empty() {
            return Some(());
        }
        let score = Score { readings: Arc::clone(&job.readings), from: range.start, to: range.end };
        let scores = resident.detector.send(score).await.ok()?.ok()?;
        result.verdicts.extend(scores.verdicts);
        result.elapsed += scores.elapsed;
        result.checkpoint = scores.checkpoint.or(result.checkpoint.take());
        Some(())
    }

    /// Scores a job one reading at a time. `before` is asked before each, and may have it skipped.
    pub(super) async fn score_singly(
        &self,
        resident: &Resident,
        job: &mut Job,
        mut before: impl AsyncFnMut(usize) -> Result<Option<(Skipped, String)>, Unrecoverable>,
    ) -> Result<JobResult, Stumbled> {
        let mut result = JobResult::default();
        for index in 0..job.readings.len() {
            if let Some(verdict) = before(index).await? {
                job.skips.entry(index).or_insert(verdict);
            }
            let scored = match job.skips.get(&index) {
                Some((skipped, detail)) => {
                    let verdict = skip(resident, &job.readings[index], *skipped, detail).await;
                    verdict.map(|verdict| result.verdicts.push(verdict))
                }
                None => self.score_range(resident, job, index..index + 1, &mut result).await,
            };
            if scored.is_none() {
                return Err(if resident.detector.connected() {
                    Stumbled::At(index)
                } else {
                    Stumbled::Unrecoverable
                });
            }
        }
        Ok(result)
    }

    /// Gives a detector its past anew. Everything that it scored must be committed.
    pub(super) async fn restore_again(&self, resident: &Resident) -> Result<(), Unrecoverable> {
        self.restore(resident, &resident.sensor).await.map(drop)
    }

    /// Hands a checkpoint on if there is room for it; a checkpoint that is left out costs a longer replay.
    pub(super) fn save_if_room(&self, partition: PartitionId, due: DueCheckpoint) {
        let DueCheckpoint { sensor, checkpoint } = due;
        if let Some(credit) = self.checkpoint_credits.try_acquire(kib(&checkpoint)) {
            send_credited(&self.peers.checkpointer, Save { partition, sensor, checkpoint, credit });
        }
    }

    /// Takes a detector's state and hands it on, unless it is saved already. Everything it scored must be committed.
    pub(super) async fn save_last(&self, resident: &Resident) {
        let Ok(Some(checkpoint)) = resident.detector.send(TakeCheckpoint).await else { return };
        if checkpoint.seq > resident.saved {
            let credit = self.checkpoint_credits.acquire(kib(&checkpoint)).await;
            let (partition, sensor) = (resident.partition, resident.sensor.clone());
            send_credited(&self.peers.checkpointer, Save { partition, sensor, checkpoint, credit });
        }
    }
}

/// What becomes of a reading that is skipped; nothing if the detector holds no state.
async fn skip(resident: &Resident, reading: &Reading, skipped: Skipped, detail: &str) -> Option<Verdict> {
    match skipped {
        Skipped::Poison => {
            let is_newer = resident.detector.send(Skip { ts: reading.ts }).await.ok()?.ok()?;
            Some(if is_newer { Verdict::Poison } else { Verdict::NotNewer })
        }
        Skipped::Unstorable => {
            Some(Verdict::Rejected { reason: Reason::Unstorable, detail: detail.to_owned() })
        }
    }
}

fn kib(checkpoint: &Checkpoint) -> u32 {
    (checkpoint.state.len() / 1_024 + 1) as u32
}

/// The detectors in memory, by sensor.
#[derive(Debug, Default)]
pub(super) struct Residents {
    by_sensor: BTreeMap<SensorName, Resident>,
}

impl Residents {
    pub(super) fn get(&self, sensor: &SensorName) -> Option<Resident> {
        self.by_sensor.get(sensor).cloned()
    }

    pub(super) fn insert(&mut self, sensor: SensorName, resident: Resident) {
        self.by_sensor.insert(sensor, resident);
    }

    pub(super) fn touch(&mut self, sensor: &SensorName, position: Position, now: Instant) {
        if let Some(resident) = self.by_sensor.get_mut(sensor) {
            resident.touched = position;
            resident.last_used = now;
        }
    }

    pub(super) fn note_saved(&mut self, sensor: &SensorName, seq: u64) {
        if let Some(resident) = self.by_sensor.get_mut(sensor) {
            resident.saved = resident.saved.max(seq);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_sensor.len()
    }

    /// Gives the detectors of a partition, of which nothing is in flight, the configuration that holds from here on. One that is shaped otherwise
    /// now is dropped; its next reading brings it in anew.
    pub(super) fn reconfigure(&mut self, partition: PartitionId, detectors: &DetectorConfigs) {
        self.by_sensor.retain(|sensor, resident| {
            let config = detectors.of(sensor);
            if resident.partition != partition || resident.config.identity == config.identity {
                return true;
            }
            if resident.config.fingerprint != config.fingerprint {
                return false;
            }
            resident.config = Arc::clone(&config);
            // The mailbox keeps order, and nothing else is in it.
            #[expect(
                clippy::disallowed_methods,
                reason = "one for each detector and change of configuration"
            )]
            resident.detector.do_send(Reconfigure { config });
            true
        });
    }

    /// Drops the detectors of a partition that is not this shard's any more.
    pub(super) fn drop_partition(&mut self, partition: PartitionId) {
        self.by_sensor.retain(|_, resident| resident.partition != partition);
    }

    /// Takes out the detectors that have been idle too long, and the longest idle ones beyond the cap, as far as
    /// everything they scored is committed.
    pub(super) fn take_idle(
        &mut self,
        now: Instant,
        retire_after: Duration,
        cap: usize,
        committed: impl Fn(PartitionId) -> Position,
    ) -> Vec<Resident> {
        let mut settled: Vec<(Instant, SensorName)> = self
            .by_sensor
            .iter()
            .filter(|(_, resident)| resident.touched <= committed(resident.partition))
            .map(|(sensor, resident)| (resident.last_used, sensor.clone()))
            .collect();
        settled.sort();
        let beyond_cap = self.len().saturating_sub(cap);
        let idle = |(rank, (last_used, _)): &(usize, (Instant, SensorName))| {
            *rank < beyond_cap || now.duration_since(*last_used) >= retire_after
        };
        let leaving = settled.into_iter().enumerate().take_while(idle);
        leaving.filter_map(|(_, (_, sensor))| self.by_sensor.remove(&sensor)).collect()
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self) -> Vec<Resident> {
        std::mem::take(&mut self.by_sensor).into_values().collect()
    }
}
