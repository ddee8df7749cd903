//! The tasks of a shard beside scoring: it trims its logs, measures its lag, evicts idle detectors,
//! and reports lost entries.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use thicket_protocol::log::tail_is_lost;
use thicket_schema::{PartitionId, Position};
use thicket_store::complaints;
use thicket_store::postgres::LogLoss;
use thicket_store::redis::{LogReader, Trimmed};

use super::detector_pool::DetectorPool;
use super::options::ShardContext;
use super::partitions::Partitions;

/// Time between two rounds of each task.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// A partition whose log has entries that are not committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    id: PartitionId,
    committed: Position,
    /// When the first record after the committed ones arrived, in microseconds since 1970.
    received: i64,
}

/// The housekeeping of a shard.
pub(super) struct Housekeeping {
    pub(super) context: Rc<ShardContext>,
    pub(super) reader: LogReader,
    pub(super) partitions: Rc<Partitions>,
    pub(super) detectors: Rc<DetectorPool>,
    /// What was not committed when Redis last answered.
    pub(super) behind: RefCell<Vec<Behind>>,
}

impl Housekeeping {
    /// Trims the logs and measures the lag, again and again. Runs beside the loop of the shard, which
    /// waits without end for a store that is away.
    pub(super) async fn watch_logs(&self) -> Infallible {
        loop {
            self.trim().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Evicts detectors, and counts those in memory.
    pub(super) async fn run(&self) {
        self.evict().await;
        let ShardContext { metrics, label, .. } = &*self.context;
        metrics.detectors.with_label_values(&[label]).set(self.detectors.len() as i64);
        metrics.detector_memory_bytes.with_label_values(&[label]).set(self.detectors.memory() as i64);
    }

    /// Makes room before the next readings if the detectors need far more memory than they may have.
    /// A detector can only be evicted once its readings are committed.
    pub(super) async fn make_room(&self) {
        if !self.detectors.is_far_beyond() {
            return;
        }
        self.evict().await;
        if self.detectors.is_far_beyond() {
            for id in self.partitions.ids() {
                self.partitions.wait_for_commits(id).await;
            }
            self.evict().await;
        }
    }

    async fn evict(&self) {
        let committed =
            |id| self.partitions.get(id, |partition| partition.progress.committed).unwrap_or_default();
        self.detectors.evict(committed).await;
    }

    /// Trims the logs to their committed positions, and measures the lag.
    async fn trim(&self) {
        let ShardContext { metrics, label, .. } = &*self.context;
        let partitions = self.partitions.committed();
        let trims = partitions.iter().map(|&(id, committed)| self.reader.trim(id, committed));
        let (mut lag_entries, mut behind, mut answered) = (0, Vec::new(), true);
        for (&(id, committed), left) in partitions.iter().zip(join_all(trims).await) {
            match left {
                Ok(Trimmed { left, reopens }) => {
                    if reopens {
                        tracing::error!(partition = %id, %committed, "the log ends before the committed position: redis lost entries; the next entries get a new generation");
                    }
                    if left > 0 {
                        lag_entries += left;
                        behind.push((id, committed));
                    }
                }
                Err(error) => {
                    answered = false;
                    if let Some(repeated) = complaints::due("trim a log", &error) {
                        tracing::warn!(%error, shard = label, repeated, "cannot trim the log");
                    }
                }
            }
        }
        if answered && let Some(behind) = self.received(&behind).await {
            metrics.shard_lag_entries.with_label_values(&[label]).set(lag_entries as i64);
            self.behind.replace(behind);
        }
        // If Redis does not answer, what was behind is behind until it is committed.
        let now = self.partitions.committed();
        let oldest = {
            let behind = self.behind.borrow();
            let waits = |behind: &&Behind| now.contains(&(behind.id, behind.committed));
            behind.iter().filter(waits).map(|behind| behind.received).min()
        };
        let age = oldest.map_or(0, |oldest| (Utc::now().timestamp_micros() - oldest).max(0));
        metrics.shard_lag_seconds.with_label_values(&[label]).set(age as f64 / 1e6);
    }

    /// Returns when the first record of each partition after its committed ones arrived. `None` if Redis
    /// does not answer.
    async fn received(&self, partitions: &[(PartitionId, Position)]) -> Option<Vec<Behind>> {
        let reads = partitions.iter().map(|&(id, committed)| self.reader.oldest_received(id, committed));
        let received: Result<Vec<Option<i64>>, _> = join_all(reads).await.into_iter().collect();
        let behind = |(&(id, committed), received): (&(PartitionId, Position), Option<i64>)| {
            received.map(|received| Behind { id, committed, received })
        };
        received.ok().map(|received| partitions.iter().zip(received).filter_map(behind).collect())
    }

    /// Reports entries that Redis lost between two entries of a log.
    pub(super) fn report_losses(&self, partition: PartitionId, losses: &[LogLoss]) {
        for LogLoss { after, before } in losses {
            self.context.metrics.log_gaps.inc();
            tracing::error!(%partition, %after, %before, "the log has a gap: redis lost entries that it had acknowledged");
        }
    }

    /// Reports a log that ends before the committed position: Redis lost entries that it had
    /// acknowledged.
    pub(super) async fn check_tail(&self, partition: PartitionId, committed: Position) {
        if committed == Position::default() {
            return;
        }
        match self.reader.newest(partition).await {
            Ok(newest) if tail_is_lost(newest, committed) => {
                let newest = newest.unwrap_or_default();
                self.context.metrics.log_gaps.inc();
                tracing::error!(%partition, %newest, %committed, "the log ends before the committed position: redis lost entries");
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(repeated) = complaints::due("read the end of a log", &error) {
                    tracing::warn!(%error, %partition, repeated, "cannot read the end of the log");
                }
            }
        }
    }
}
