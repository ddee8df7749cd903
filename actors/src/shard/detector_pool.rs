//! Starts detectors, restores them from their history, sends them readings to score, and saves
//! their checkpoints.

mod restore;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use thicket_detector::{FieldReport, NamedConfig};
use thicket_schema::{Checkpoint, PartitionId, Position, Reason, SensorId, SensorName, Timestamp};
use thicket_store::postgres::QuarantineReason;

use super::collect::SensorBatch;
use super::detector_cache::{CachedDetector, DetectorCache};
use super::options::ShardContext;
use super::partitions::{Familiarity, Partitions};
use crate::credit::{CreditPool, send_credited};
use crate::detector::{DetectorActor, DetectorConfigs};
use crate::messages::{
    ClockReport, LoadNear, NeedsNear, NotRestored, Save, Score, ScoreOutcome, Scores, TakeCheckpoint,
};
use crate::supervision::{Intensity, Supervision, start_here};
use crate::time_order::{Occupied, Place};

/// Restarts of a detector within [`DETECTOR_RESTARTS_WITHIN`] that do not end the node. A poison
/// reading causes few.
const DETECTOR_RESTARTS: usize = 1_000;
const DETECTOR_RESTARTS_WITHIN: Duration = Duration::from_mins(1);
/// Maximum KiB of checkpoints that a shard has sent and the checkpointer has not written yet. Less
/// if that is more than a part of the memory of the detectors.
const CHECKPOINT_KIB: u32 = 64 * 1_024;
const CHECKPOINT_PART: u64 = 4;
/// A partition that is handed over may have as many KiB of checkpoints on their way, divided by
/// this.
const HAND_OVER_PART: u32 = 4;

/// The error of a detector that cannot be restored or used now. The shard must reopen its
/// partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrecoverable;

/// Why not all readings of a batch were scored.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScoreError {
    /// The detector panicked on the reading with this index.
    Panicked { index: usize },
    /// The detector cannot be restored or used.
    Unrecoverable,
}

impl From<Unrecoverable> for ScoreError {
    fn from(_: Unrecoverable) -> Self {
        Self::Unrecoverable
    }
}

/// The detector of a sensor.
#[derive(Debug)]
pub(super) enum Found {
    Detector(CachedDetector),
    /// The sensor gets no detector: its id is that of the sensor `owner`.
    Taken {
        owner: Arc<str>,
    },
}

/// The scores of the readings of one sensor.
#[derive(Debug, Default)]
pub(super) struct SensorScores {
    pub(super) outcomes: Vec<ScoreOutcome>,
    /// Where each reading is stored, in the order of the outcomes.
    pub(super) places: Vec<Place>,
    pub(super) clock: ClockReport,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) fields: Option<FieldReport>,
    pub(super) elapsed: Duration,
}

/// A checkpoint that may be saved once the rows up to it are durable.
#[derive(Debug)]
pub(super) struct DueCheckpoint {
    pub(super) sensor: SensorName,
    pub(super) checkpoint: Checkpoint,
}

/// The detectors of a shard. No borrow is held across an await.
#[derive(Debug)]
pub(super) struct DetectorPool {
    context: Rc<ShardContext>,
    partitions: Rc<Partitions>,
    cache: RefCell<DetectorCache>,
    /// Sensors whose detectors got another shape, by partition, each with the time of the last row
    /// of the old shape. The next commit ends the events that were open then.
    reshaped: RefCell<BTreeMap<PartitionId, BTreeMap<SensorId, Timestamp>>>,
    checkpoint_credits: CreditPool,
    /// Restarts of detectors. There from the start: Prometheus sees a count only if it has seen the
    /// counter before.
    restarts: IntCounter,
}

impl DetectorPool {
    pub(super) fn new(context: Rc<ShardContext>, partitions: Rc<Partitions>) -> Self {
        let part = context.options.bounds.memory / CHECKPOINT_PART / 1_024;
        let checkpoint_kib = u32::try_from(part).unwrap_or(u32::MAX).min(CHECKPOINT_KIB);
        Self {
            restarts: context.metrics.actor_restarts.with_label_values(&["detector"]),
            context,
            partitions,
            cache: RefCell::default(),
            reshaped: RefCell::default(),
            checkpoint_credits: CreditPool::new(checkpoint_kib),
        }
    }

    /// Returns the detector of a sensor. Restores it from its history if it is not in memory.
    pub(super) async fn get(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        config: impl FnOnce() -> Arc<NamedConfig>,
    ) -> Result<Found, Unrecoverable> {
        let known = self.cache.borrow().get(sensor);
        if let Some(cached) = known {
            return Ok(Found::Detector(cached));
        }
        let is_new = match self.partitions.get(partition, |partition| partition.familiarity(sensor)) {
            Some(Familiarity::Taken(owner)) => return Ok(Found::Taken { owner }),
            Some(Familiarity::New) => true,
            Some(Familiarity::Known) | None => false,
        };
        let cached = self.spawn(partition, sensor, config());
        let cached = if is_new { self.begin(cached).await? } else { self.restored(cached).await? };
        self.cache.borrow_mut().insert(cached.clone());
        Ok(Found::Detector(cached))
    }

    /// Starts a detector without state.
    fn spawn(&self, partition: PartitionId, sensor: &SensorName, config: Arc<NamedConfig>) -> CachedDetector {
        let actor = DetectorActor::new(sensor.clone(), self.context.options.checkpoint_every);
        let supervision = Supervision {
            actor: "detector",
            intensity: Intensity::new(DETECTOR_RESTARTS, DETECTOR_RESTARTS_WITHIN),
            exit: self.context.peers.exit.clone(),
            restarts: self.restarts.clone(),
        };
        CachedDetector {
            sensor: sensor.clone(),
            detector: start_here(actor, supervision),
            partition,
            config,
            last_used: Instant::now(),
            touched: Position::default(),
            saved: 0,
            memory: 0,
        }
    }

    /// Removes and returns the sensors of a partition whose detectors got another shape since the
    /// last call.
    pub(super) fn take_reshaped(&self, partition: PartitionId) -> BTreeMap<SensorId, Timestamp> {
        self.reshaped.borrow_mut().remove(&partition).unwrap_or_default()
    }

    /// Scores a batch and skips its quarantined readings. Returns `None` if the detector panicked.
    pub(super) async fn score(&self, cached: &CachedDetector, batch: &SensorBatch) -> Option<SensorScores> {
        let mut scores = SensorScores::default();
        let mut from = 0;
        for (&index, (reason, detail)) in &batch.quarantined {
            self.score_range(cached, batch, from..index, None, &mut scores).await?;
            self.skip(cached, batch, (index, *reason, detail), None, &mut scores).await?;
            from = index + 1;
        }
        self.score_range(cached, batch, from..batch.readings.len(), None, &mut scores).await?;
        Some(scores)
    }

    /// Scores a batch one reading at a time. `before_wait` is called before a wait for the stored rows
    /// near a reading. `before` is called when nothing is left to wait for, and may quarantine the
    /// reading.
    pub(super) async fn score_one_by_one(
        &self,
        cached: &CachedDetector,
        batch: &mut SensorBatch,
        before_wait: &impl AsyncFn(),
        mut before: impl AsyncFnMut(usize) -> Result<Option<(QuarantineReason, String)>, Unrecoverable>,
    ) -> Result<SensorScores, ScoreError> {
        let mut scores = SensorScores::default();
        for index in 0..batch.readings.len() {
            let needs = NeedsNear { readings: Arc::clone(&batch.readings), index };
            let near = match cached.detector.send(needs).await {
                Ok(Ok(true)) => {
                    before_wait().await;
                    let times = vec![batch.readings[index].ts];
                    Some(self.rows_near(batch, times, &scores).await.ok_or(Unrecoverable)?)
                }
                Ok(Ok(false)) => None,
                Ok(Err(NotRestored)) | Err(_) => return Err(ScoreError::Unrecoverable),
            };
            if !batch.quarantined.contains_key(&index)
                && let Some(reason) = before(index).await?
            {
                batch.quarantined.insert(index, reason);
            }
            let scored = match batch.quarantined.get(&index) {
                Some((reason, detail)) => {
                    self.skip(cached, batch, (index, *reason, detail), near, &mut scores).await
                }
                None => self.score_range(cached, batch, index..index + 1, near, &mut scores).await,
            };
            if scored.is_none() {
                let is_alive = cached.detector.connected();
                return Err(if is_alive {
                    ScoreError::Panicked { index }
                } else {
                    ScoreError::Unrecoverable
                });
            }
        }
        Ok(scores)
    }

    /// Skips a quarantined reading. Returns `None` if the detector has no state.
    async fn skip(
        &self,
        cached: &CachedDetector,
        batch: &SensorBatch,
        (index, reason, detail): (usize, QuarantineReason, &str),
        near: Option<Occupied>,
        scores: &mut SensorScores,
    ) -> Option<()> {
        if reason == QuarantineReason::Poison {
            return self.score_range(cached, batch, index..index + 1, near, scores).await;
        }
        let detail = detail.to_owned();
        scores.outcomes.push(ScoreOutcome::Rejected { reason: Reason::Unstorable, detail });
        scores.places.push(Place { ts: batch.readings[index].ts, shifted: false, era: 0 });
        Some(())
    }

    /// Scores a range of a batch, or skips it if it is one quarantined reading. Returns `None` if the
    /// detector panicked or has no state.
    ///
    /// If the detector must know the stored rows near a reading, waits until all earlier readings
    /// are committed, reads the rows, and continues: the decision then depends on the log alone.
    /// `near` has the rows that are known already.
    async fn score_range(
        &self,
        cached: &CachedDetector,
        batch: &SensorBatch,
        range: Range<usize>,
        mut near: Option<Occupied>,
        scores: &mut SensorScores,
    ) -> Option<()> {
        let Range { start: mut from, end: to } = range;
        let skip = batch.quarantined.contains_key(&from);
        while from < to {
            let score = Score { readings: Arc::clone(&batch.readings), from, to, near: near.take(), skip };
            let Scores { outcomes, places, unknown, clock, checkpoint, fields, memory, elapsed } =
                cached.detector.send(score).await.ok()?.ok()?;
            if let Some(memory) = memory {
                self.cache.borrow_mut().note_memory(&cached.sensor, memory);
            }
            from += outcomes.len();
            scores.outcomes.extend(outcomes);
            scores.places.extend(places);
            scores.clock.append(clock);
            scores.elapsed += elapsed;
            scores.checkpoint = checkpoint.or(scores.checkpoint.take());
            scores.fields = fields.or(scores.fields.take());
            if from < to {
                near = Some(self.rows_near(batch, unknown, scores).await?);
            }
        }
        Some(())
    }

    /// Returns the stored rows near some times: the committed rows, and those of the readings of the
    /// batch that are scored already.
    async fn rows_near(
        &self,
        batch: &SensorBatch,
        times: Vec<Timestamp>,
        scores: &SensorScores,
    ) -> Option<Occupied> {
        self.partitions.wait_for_commits(batch.partition).await;
        let load = LoadNear { sensor: batch.sensor.clone(), times };
        let rows = self.context.peers.near.send(load).await.ok()?;
        let mut near = Occupied::default();
        for row in &rows {
            near.insert_row(row);
        }
        for ((reading, outcome), place) in batch.readings.iter().zip(&scores.outcomes).zip(&scores.places) {
            if outcome.is_stored() {
                near.insert(*place, &reading.fields, &reading.values);
            }
        }
        Some(near)
    }

    /// Records that the detector was used for a range of the log up to `position`.
    pub(super) fn touch(&self, sensor: &SensorName, position: Position) {
        self.cache.borrow_mut().touch(sensor, position, Instant::now());
    }

    /// Gives the detectors of a partition another configuration. The partition must not have
    /// commits in flight.
    pub(super) fn reconfigure(&self, partition: PartitionId, detectors: &DetectorConfigs) {
        self.cache.borrow_mut().reconfigure(partition, detectors);
    }

    /// Remembers that the next commit ends the events of a sensor that were open at a time.
    pub(super) fn note_reshaped(&self, partition: PartitionId, sensor: SensorId, at: Timestamp) {
        self.reshaped.borrow_mut().entry(partition).or_default().insert(sensor, at);
    }

    /// Drops the detector of a sensor.
    pub(super) fn drop_sensor(&self, sensor: &SensorName) {
        self.cache.borrow_mut().remove(sensor);
    }

    /// Drops all state of a partition.
    pub(super) fn drop_partition(&self, partition: PartitionId) {
        self.cache.borrow_mut().drop_partition(partition);
        self.reshaped.borrow_mut().remove(&partition);
    }

    /// Drops all state.
    pub(super) fn drop_all(&self) {
        self.cache.take();
        self.reshaped.take();
    }

    /// Returns the number of detectors in memory.
    pub(super) fn len(&self) -> usize {
        self.cache.borrow().len()
    }

    /// Returns the memory of the detectors in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.cache.borrow().memory()
    }

    /// Saves a checkpoint if a credit for it is free. Otherwise the next restore replays more rows.
    pub(super) fn save_if_room(&self, partition: PartitionId, due: DueCheckpoint) {
        let DueCheckpoint { sensor, checkpoint } = due;
        if let Some(credit) = self.checkpoint_credits.try_acquire(kib(&checkpoint)) {
            self.cache.borrow_mut().note_saved(&sensor, checkpoint.seq);
            send_credited(
                &self.context.peers.save,
                Save { partition, sensor, checkpoint, pinned: false, credit },
            );
        }
    }

    /// Evicts idle detectors and detectors beyond the bounds, but none with a reading that is not
    /// committed.
    pub(super) async fn evict(&self, committed: impl Fn(PartitionId) -> Position) {
        let bounds = self.context.options.bounds;
        let evicted = self.cache.borrow_mut().take_idle(Instant::now(), bounds, committed);
        for cached in evicted {
            self.save(&cached, false).await;
            self.context.metrics.detector_evictions.inc();
        }
    }

    /// Whether the memory of the detectors is so far beyond the bound that the next ones must wait.
    pub(super) fn is_far_beyond(&self) -> bool {
        self.cache.borrow().is_far_beyond(self.context.options.bounds)
    }

    /// Returns how many detectors half of the memory holds; `None` if that is not known.
    pub(super) fn half(&self) -> Option<u64> {
        self.cache.borrow().half(self.context.options.bounds)
    }

    /// Saves and removes every detector. All readings that they scored must be committed.
    pub(super) async fn save_all(&self) {
        let all = self.cache.borrow_mut().take_all();
        for cached in all {
            self.save(&cached, false).await;
        }
    }

    /// Saves and removes the detectors of a partition, and waits until their checkpoints are written.
    /// All readings that they scored must be committed.
    pub(super) async fn save_partition(&self, partition: PartitionId) {
        let detectors = self.cache.borrow_mut().take_partition(partition);
        // Credits of their own, so that the other partitions need not wait for these writes.
        let credits = CreditPool::new(self.checkpoint_credits.capacity() / HAND_OVER_PART);
        for cached in detectors {
            self.save_within(&cached, false, &credits).await;
        }
        drop(credits.acquire(credits.capacity()).await);
    }

    /// Saves the state of a detector, unless it is saved already and needs not be `pinned`. A pinned
    /// checkpoint is never evicted. All readings that the detector scored must be committed.
    pub(super) async fn save(&self, cached: &CachedDetector, pinned: bool) {
        self.save_within(cached, pinned, &self.checkpoint_credits).await;
    }

    async fn save_within(&self, cached: &CachedDetector, pinned: bool, credits: &CreditPool) {
        let Ok(Some(checkpoint)) = cached.detector.send(TakeCheckpoint).await else { return };
        if pinned || checkpoint.seq > cached.saved {
            let credit = credits.acquire(kib(&checkpoint)).await;
            let (partition, sensor) = (cached.partition, cached.sensor.clone());
            send_credited(&self.context.peers.save, Save { partition, sensor, checkpoint, pinned, credit });
        }
    }
}

/// Returns the size of a checkpoint in KiB, rounded up.
fn kib(checkpoint: &Checkpoint) -> u32 {
    (checkpoint.state.len() / 1_024 + 1) as u32
}
