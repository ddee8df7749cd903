//! Turns the readings of each sensor into score outcomes. Suspected readings are scored first, one
//! by one.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thicket_detector::{FieldReport, Label, NamedConfig};
use thicket_schema::{Checkpoint, Control, PartitionId, Reason, SensorAction, SensorName, Timestamp};
use thicket_store::postgres::{AppliedLabel, QuarantineEntry, QuarantineReason};
use thicket_store::redis::Suspect;

use super::collect::{LogRange, SensorBatch};
use super::detector_cache::CachedDetector;
use super::detector_pool::{DetectorPool, Found, ScoreError, SensorScores, Unrecoverable};
use super::options::ShardContext;
use super::partitions::{Partition, Partitions};
use super::poison_search::{DEATHS, SuspectRange};
use super::suspect_log::SuspectLog;
use crate::detector::DetectorConfigs;
use crate::messages::{
    ApplyLabel, BeginAgain, ClockReport, DeleteCheckpoint, LabelPlace, Quarantine, ScoreOutcome,
};
use crate::time_order::Place;

/// The score outcomes of the readings of one sensor, and the configuration of the detector.
#[derive(Debug)]
pub(super) struct ScoredBatch {
    pub(super) outcomes: Vec<ScoreOutcome>,
    /// Where each reading is stored, in the order of the outcomes.
    pub(super) places: Vec<Place>,
    pub(super) clock: ClockReport,
    pub(super) config: Arc<NamedConfig>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The report about the sensor's fields, if it has changed.
    pub(super) fields: Option<FieldReport>,
}

impl ScoredBatch {
    /// Creates the result for a partition that is reopened. It is not assembled into rows.
    pub(super) fn empty(config: Arc<NamedConfig>) -> Self {
        let (outcomes, places) = (Vec::new(), Vec::new());
        Self { outcomes, places, clock: ClockReport::default(), config, checkpoint: None, fields: None }
    }
}

/// Scores the batches that the worker has collected.
pub(super) struct Scorer {
    pub(super) context: Rc<ShardContext>,
    pub(super) partitions: Rc<Partitions>,
    pub(super) detectors: Rc<DetectorPool>,
    pub(super) suspects: Rc<SuspectLog>,
}

impl Scorer {
    /// Scores every sensor batch. Batches with suspected readings are scored first, one batch at a
    /// time.
    pub(super) async fn score_all(
        &self,
        ranges: &[LogRange],
        sensors: &[SensorBatch],
    ) -> Vec<Result<ScoredBatch, Unrecoverable>> {
        let suspected = self.record_suspects(ranges).await;
        let mut results: Vec<Option<Result<_, _>>> = Vec::new();
        for batch in sensors {
            let range = suspected.iter().find(|range| range.partition == batch.partition);
            results.push(match range {
                Some(range) => Some(self.score_suspects(batch, range).await),
                None => None,
            });
        }
        let rest = sensors.iter().zip(&results).filter(|(_, result)| result.is_none());
        let mut rest = join_all(rest.map(|(batch, _)| self.score_batch(batch))).await.into_iter();
        results.into_iter().filter_map(|result| result.or_else(|| rest.next())).collect()
    }

    /// Scores a batch. If the detector panics, scores the batch again, one reading at a time.
    async fn score_batch(&self, batch: &SensorBatch) -> Result<ScoredBatch, Unrecoverable> {
        let cached = match self.detector(batch.partition, &batch.sensor).await? {
            Found::Detector(cached) => cached,
            Found::Taken { owner } => return Ok(self.refuse(batch, &owner)),
        };
        if let Some(scores) = self.detectors.score(&cached, batch).await {
            return Ok(self.finish(scores, cached.config));
        }
        self.partitions.wait_for_commits(batch.partition).await;
        self.detectors.restore_again(&cached).await?;
        let scores = self.score_one_by_one(&cached, batch, &async || {}, async |_| Ok(None)).await?;
        Ok(self.finish(scores, cached.config))
    }

    /// Scores a batch of a suspected range one reading at a time. The lock excludes other suspected
    /// readings of this process, so that the recorded reading is the cause of a crash. While the shard
    /// waits for rows, the range is recorded: the process may end then, whatever the readings are.
    async fn score_suspects(
        &self,
        batch: &SensorBatch,
        range: &SuspectRange,
    ) -> Result<ScoredBatch, Unrecoverable> {
        let cached = match self.detector(batch.partition, &batch.sensor).await? {
            Found::Detector(cached) => cached,
            Found::Taken { owner } => return Ok(self.refuse(batch, &owner)),
        };
        let lock = self.context.peers.suspect_lock.lock().await;
        let record_range = async || {
            let suspect = Suspect::Range { after: range.after, to: range.to };
            self.record_suspect(batch, suspect).await;
        };
        let before = async |index: usize| -> Result<_, Unrecoverable> {
            let at = batch.positions[index];
            let deaths = range.search.deaths(at);
            self.record_suspect(batch, Suspect::Reading { at, to: range.to, deaths }).await;
            if deaths < DEATHS {
                return Ok(None);
            }
            let detail = format!("{deaths} processes died while they applied it");
            let poison = (QuarantineReason::Poison, detail);
            self.quarantine(batch, index, &poison).await?;
            Ok(Some(poison))
        };
        let scores = self.score_one_by_one(&cached, batch, &record_range, before).await?;
        // All suspected readings are scored. A crash from here on has another cause.
        record_range().await;
        drop(lock);
        Ok(self.finish(scores, cached.config))
    }

    /// Records a suspect, unless this node has lost the partition meanwhile: the record is that of
    /// the next owner then.
    async fn record_suspect(&self, batch: &SensorBatch, suspect: Suspect) {
        if self.partitions.is_current(batch.partition, batch.epoch) {
            self.suspects.record(batch.partition, suspect).await;
        }
    }

    /// Scores a batch one reading at a time. A reading on which the detector panics is quarantined,
    /// and every replay skips it.
    async fn score_one_by_one(
        &self,
        cached: &CachedDetector,
        batch: &SensorBatch,
        before_wait: &impl AsyncFn(),
        mut before: impl AsyncFnMut(usize) -> Result<Option<(QuarantineReason, String)>, Unrecoverable>,
    ) -> Result<SensorScores, Unrecoverable> {
        let mut batch = batch.clone();
        loop {
            let scored = self.detectors.score_one_by_one(cached, &mut batch, before_wait, &mut before).await;
            let index = match scored {
                Ok(scores) => return Ok(scores),
                Err(ScoreError::Panicked { index }) => index,
                Err(ScoreError::Unrecoverable) => return Err(Unrecoverable),
            };
            let poison = (QuarantineReason::Poison, "it panicked its detector twice".to_owned());
            self.quarantine(&batch, index, &poison).await?;
            batch.quarantined.insert(index, poison);
            self.partitions.wait_for_commits(batch.partition).await;
            self.detectors.restore_again(cached).await?;
        }
    }

    /// Quarantines a reading. Returns once the entry is durable.
    async fn quarantine(
        &self,
        batch: &SensorBatch,
        index: usize,
        (reason, detail): &(QuarantineReason, String),
    ) -> Result<(), Unrecoverable> {
        let SensorBatch { partition, epoch, sensor, readings, positions, .. } = batch;
        let (position, ts) = (positions[index], readings[index].ts);
        tracing::error!(%sensor, %ts, %position, reason = detail, "quarantining a reading");
        let entry = QuarantineEntry {
            partition: *partition,
            epoch: *epoch,
            position,
            reason: *reason,
            sensor: sensor.clone(),
            ts,
            detail: detail.clone(),
        };
        match self.context.peers.quarantine.send(Quarantine(entry)).await {
            Ok(true) => Ok(()),
            _ => Err(Unrecoverable),
        }
    }

    /// Records the range of each partition under search. Returns the ranges to score one reading at
    /// a time; these are not recorded here, since each of their readings is recorded before it is
    /// applied.
    async fn record_suspects(&self, ranges: &[LogRange]) -> Vec<SuspectRange> {
        let mut one_by_one = Vec::new();
        let mut records = Vec::new();
        for range in ranges {
            let &LogRange { partition, from: after, to, .. } = range;
            let Some(search) = self.partitions.get(partition, Partition::search).flatten() else { continue };
            if search.is_one_by_one(range.first()) {
                one_by_one.push(SuspectRange { partition, search, after, to });
            } else {
                records.push(self.suspects.record(partition, Suspect::Range { after, to }));
            }
        }
        join_all(records).await;
        one_by_one
    }

    /// Rejects the readings of a sensor whose id is that of another one.
    fn refuse(&self, batch: &SensorBatch, owner: &str) -> ScoredBatch {
        let SensorBatch { partition, sensor, readings, .. } = batch;
        let detail = format!("its id is that of the sensor {owner}; rename the sensor");
        let reason = Reason::SensorIdTaken;
        let outcomes = readings.iter().map(|_| ScoreOutcome::Rejected { reason, detail: detail.clone() });
        let places = readings.iter().map(|reading| Place { ts: reading.ts, shifted: false, era: 0 });
        let empty = ScoredBatch::empty(self.config_of(*partition, sensor));
        ScoredBatch { outcomes: outcomes.collect(), places: places.collect(), ..empty }
    }

    /// Returns the detector of a sensor. Restores it from its history if it is not in memory.
    async fn detector(&self, partition: PartitionId, sensor: &SensorName) -> Result<Found, Unrecoverable> {
        self.detectors.get(partition, sensor, || self.config_of(partition, sensor)).await
    }

    /// Returns the configuration of a sensor at the read position of its partition.
    fn config_of(&self, partition: PartitionId, sensor: &SensorName) -> Arc<NamedConfig> {
        let detectors = self.partitions.get(partition, |partition| Arc::clone(&partition.detectors));
        detectors.as_ref().unwrap_or(&self.context.options.detectors).of(sensor)
    }

    /// Applies the control entry of a range, if the range is a control entry. Waits first until all
    /// earlier readings are committed, since a detector is restored from committed rows.
    pub(super) async fn apply_control(&self, range: &mut LogRange) -> Result<(), Unrecoverable> {
        match range.control().cloned() {
            Some(Control::Detectors(json)) => {
                self.apply_config(range, &json).await;
                Ok(())
            }
            Some(Control::Label { sensor, started, label }) => {
                range.applied = self.apply_label(range, &sensor, started, &label).await?;
                Ok(())
            }
            Some(Control::Sensor { sensor, action, request }) => {
                self.do_request(range, &sensor, action, request).await
            }
            // The range has no control entry.
            _ => Ok(()),
        }
    }

    async fn apply_label(
        &self,
        range: &LogRange,
        sensor: &SensorName,
        started: Timestamp,
        label: &str,
    ) -> Result<Option<AppliedLabel>, Unrecoverable> {
        let Some(label) = Label::from_name(label) else { return Ok(None) };
        self.partitions.wait_for_commits(range.partition).await;
        if !self.partitions.is_current(range.partition, range.epoch) {
            return Ok(None);
        }
        let Found::Detector(cached) = self.detector(range.partition, sensor).await? else { return Ok(None) };
        // The detector must not be evicted before the label is committed.
        self.detectors.touch(sensor, range.to);
        let place = cached.detector.send(ApplyLabel { started, label }).await.ok().flatten();
        let sensor = sensor.id();
        Ok(place.map(|LabelPlace { seq, number }| AppliedLabel { sensor, seq, number, started, label }))
    }

    /// Does a person's request about a sensor. Its rows change with the commit of the range.
    async fn do_request(
        &self,
        range: &mut LogRange,
        sensor: &SensorName,
        action: SensorAction,
        request: i64,
    ) -> Result<(), Unrecoverable> {
        let partition = range.partition;
        self.partitions.wait_for_commits(partition).await;
        if !self.partitions.is_current(partition, range.epoch) {
            return Ok(());
        }
        match action {
            SensorAction::Reset => {
                let Found::Detector(cached) = self.detector(partition, sensor).await? else { return Ok(()) };
                // The detector must not be evicted before the reset is committed.
                self.detectors.touch(sensor, range.to);
                let reset = cached.detector.send(BeginAgain { request }).await.map_err(|_| Unrecoverable)?;
                if let Some(reset) = reset {
                    tracing::info!(%sensor, seq = reset.seq, "the detector begins again, as requested");
                    self.detectors.note_reshaped(partition, sensor.id(), reset.newest);
                    range.reset = Some((sensor.id(), reset));
                }
            }
            SensorAction::Forget => {
                let delete = DeleteCheckpoint { partition, sensor: sensor.clone(), request };
                let deleting = self.context.peers.delete_checkpoint.send(delete);
                if deleting.await.map_err(|_| Unrecoverable)? {
                    self.detectors.drop_sensor(sensor);
                    tracing::info!(%sensor, "the sensor is forgotten, as requested");
                    range.forgotten = Some((sensor.id(), request));
                }
            }
            SensorAction::Save => {
                let Found::Detector(cached) = self.detector(partition, sensor).await? else { return Ok(()) };
                self.detectors.save(&cached, true).await;
            }
        }
        Ok(())
    }

    async fn apply_config(&self, range: &LogRange, json: &str) {
        let LogRange { partition, epoch, .. } = *range;
        let detectors = self.parse_config_or_default(partition, Some(json));
        self.partitions.wait_for_commits(partition).await;
        let applied = self.partitions.change(partition, epoch, |partition| {
            partition.detectors = Arc::clone(&detectors);
        });
        if applied.is_some() {
            self.detectors.reconfigure(partition, &detectors);
        }
    }

    /// Parses the configuration of a partition's sensors. Returns the configuration of this node if
    /// there is no text, or if the text cannot be parsed.
    pub(super) fn parse_config_or_default(
        &self,
        partition: PartitionId,
        json: Option<&str>,
    ) -> Arc<DetectorConfigs> {
        let parsed = json.and_then(|json| match DetectorConfigs::from_json(json) {
            Ok(detectors) => Some(Arc::new(detectors)),
            Err(error) => {
                tracing::error!(%partition, %error, "cannot parse the configuration in the log; using the configuration of this node");
                None
            }
        });
        parsed.unwrap_or_else(|| Arc::clone(&self.context.options.detectors))
    }

    /// Counts the outcomes and adds the configuration.
    fn finish(&self, scores: SensorScores, config: Arc<NamedConfig>) -> ScoredBatch {
        self.count(&scores.outcomes, scores.elapsed);
        let SensorScores { outcomes, places, clock, checkpoint, fields, .. } = scores;
        ScoredBatch { outcomes, places, clock, config, checkpoint, fields }
    }

    fn count(&self, outcomes: &[ScoreOutcome], elapsed: Duration) {
        let ShardContext { metrics, label, .. } = &*self.context;
        let is_scored = |outcome: &&ScoreOutcome| matches!(outcome, ScoreOutcome::Scored(detection) if !detection.marks.unscored);
        let scored = outcomes.iter().filter(is_scored).count();
        metrics.readings_scored.with_label_values(&[label]).inc_by(scored as u64);
        metrics.scoring_seconds.with_label_values(&[label]).inc_by(elapsed.as_secs_f64());
        for outcome in outcomes {
            if let ScoreOutcome::Scored(detection) = outcome {
                metrics.detections.count(detection);
            }
        }
    }
}
