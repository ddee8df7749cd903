//! Begins the detectors of new sensors, and restores the others from their history, page by page.

use std::sync::Arc;

use thicket_store::faults;

use super::{DetectorPool, Unrecoverable};
use crate::messages::{History, Load, LoadRows, Replay, Restore};
use crate::shard::detector_cache::CachedDetector;

/// Rows of a restore after which it says that it goes on.
const LONG_REPLAY: u64 = 200_000;

/// What is known when the history of a sensor is loaded, from the loads before.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    use_checkpoint: bool,
    /// Whether a later page than the first one has rows of another shape.
    is_reshaped: bool,
    /// Whether the seqs of two pages had a gap.
    has_gap: bool,
}

/// The outcome of a replay. All but the first one begin again with another load.
#[derive(Clone, Copy, Debug)]
enum Replayed {
    /// All rows are replayed.
    All,
    /// The checkpoint does not lead to the stored scores.
    Disagrees,
    /// A row is of another shape than the detector.
    FoundShape,
    /// Retention has dropped rows between two pages.
    FoundGap,
}

impl DetectorPool {
    /// Begins the detector of a sensor that has neither rows nor a checkpoint. Asks no store.
    pub(super) async fn begin(&self, cached: CachedDetector) -> Result<CachedDetector, Unrecoverable> {
        faults::pass("restore.before");
        let restore = Restore { config: Arc::clone(&cached.config), history: History::default() };
        cached.detector.send(restore).await.map_err(|_| Unrecoverable)?;
        faults::pass("restore.after");
        Ok(cached)
    }

    /// Restores a detector that was started.
    pub(super) async fn restored(&self, cached: CachedDetector) -> Result<CachedDetector, Unrecoverable> {
        let saved = self.restore(&cached).await?;
        Ok(CachedDetector { saved, ..cached })
    }

    /// Restores a detector. Returns the seq of the checkpoint that it was restored from, or 0.
    ///
    /// If the checkpoint cannot be restored, or if its replay does not reproduce the stored scores,
    /// the detector is rebuilt from its rows alone.
    async fn restore(&self, cached: &CachedDetector) -> Result<u64, Unrecoverable> {
        faults::pass("restore.before");
        let CachedDetector { sensor, partition, config, .. } = cached;
        let metrics = &self.context.metrics;
        let mut attempt = Attempt { use_checkpoint: true, is_reshaped: false, has_gap: false };
        loop {
            let (partition, config) = (*partition, Arc::clone(config));
            let Attempt { use_checkpoint, is_reshaped, .. } = attempt;
            let load = Load { partition, sensor: sensor.clone(), config, use_checkpoint, is_reshaped };
            let history = self.context.peers.load.send(load).await.map_err(|_| Unrecoverable)?;
            let saved = history.checkpoint.as_ref().map(|checkpoint| checkpoint.seq);
            let is_new = saved.is_none() && history.replay.is_empty() && history.rebuild_from.is_empty();
            let reshaped = history.reshaped;
            match self.replay(cached, history, attempt).await? {
                Replayed::All => {}
                Replayed::Disagrees => {
                    tracing::error!(%sensor, "the checkpoint does not lead to the stored scores; rebuilding the detector from its rows");
                    attempt.use_checkpoint = false;
                    continue;
                }
                Replayed::FoundShape => {
                    attempt.is_reshaped = true;
                    continue;
                }
                Replayed::FoundGap => {
                    attempt.has_gap = true;
                    continue;
                }
            }
            if !is_new {
                metrics.detector_restores.inc();
            }
            if let Some(changed) = reshaped {
                self.note_reshaped(partition, sensor.id(), changed);
            }
            faults::pass("restore.after");
            return Ok(saved.unwrap_or(0));
        }
    }

    /// Replays a history page by page. Between two pages, the shard's arbiter does other work.
    async fn replay(
        &self,
        cached: &CachedDetector,
        history: History,
        attempt: Attempt,
    ) -> Result<Replayed, Unrecoverable> {
        let CachedDetector { sensor, partition, config, .. } = cached;
        let (has_checkpoint, mut more_after) = (history.checkpoint.is_some(), history.more_after);
        let restore = Restore { config: Arc::clone(config), history };
        let mut answer = cached.detector.send(restore).await.ok();
        let mut told = LONG_REPLAY;
        loop {
            let Some(restored) = answer else {
                // It panicked.
                return if has_checkpoint { Ok(Replayed::Disagrees) } else { Err(Unrecoverable) };
            };
            let is_wrong = has_checkpoint && (restored.mismatches > 0 || restored.unusable);
            let Some(after) = more_after.filter(|_| !is_wrong) else {
                self.context.metrics.restore_mismatches.inc_by(restored.mismatches);
                if restored.mismatches > 0 {
                    let rows = restored.mismatches;
                    tracing::error!(%sensor, rows, "replayed scores differ from the stored scores");
                }
                return Ok(if is_wrong { Replayed::Disagrees } else { Replayed::All });
            };
            if self.partitions.get(*partition, |_| ()).is_none() {
                // Another node owns the partition now, and restores its detectors itself.
                return Err(Unrecoverable);
            }
            if restored.replayed >= told {
                told += LONG_REPLAY;
                let rows = restored.replayed;
                tracing::warn!(%sensor, rows, "still restoring a detector from its rows; the other sensors of its shard wait");
            }
            let load = LoadRows { sensor: sensor.clone(), config: Arc::clone(config), after };
            let page = self.context.peers.load_rows.send(load).await.map_err(|_| Unrecoverable)?;
            if page.is_reshaped && !attempt.is_reshaped {
                return Ok(Replayed::FoundShape);
            }
            let next = page.rows.iter().find_map(|row| row.seq);
            if next.is_some_and(|seq| seq != restored.seq + 1) && !attempt.has_gap {
                return Ok(Replayed::FoundGap);
            }
            more_after = page.more_after;
            answer = cached.detector.send(Replay { page }).await.ok().and_then(Result::ok);
        }
    }

    /// Restores a detector again, after a panic. All readings that it scored must be committed.
    pub(in crate::shard) async fn restore_again(&self, cached: &CachedDetector) -> Result<(), Unrecoverable> {
        self.restore(cached).await.map(drop)
    }
}
