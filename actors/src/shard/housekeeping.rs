//! The tasks of a shard beside scoring: it trims its logs, measures its lag, evicts idle detectors,
//! and reports lost entries.

use std::rc::Rc;

use chrono::Utc;
use futures_util::future::join_all;
use thicket_protocol::log::tail_is_lost;
use thicket_schema::{PartitionId, Position};
use thicket_store::postgres::LogLoss;
use thicket_store::redis::LogReader;

use super::detector_pool::DetectorPool;
use super::options::ShardContext;
use super::partitions::Partitions;

/// The housekeeping of a shard.
pub(super) struct Housekeeping {
    pub(super) context: Rc<ShardContext>,
    pub(super) reader: LogReader,
    pub(super) partitions: Rc<Partitions>,
    pub(super) detectors: Rc<DetectorPool>,
}

impl Housekeeping {
    /// Trims the logs, measures the lag and evicts detectors.
    pub(super) async fn run(&self) {
        self.trim().await;
        let committed =
            |id| self.partitions.get(id, |partition| partition.progress.committed).unwrap_or_default();
        self.detectors.evict(committed).await;
        let ShardContext { metrics, label, .. } = &*self.context;
        metrics.detectors.with_label_values(&[label]).set(self.detectors.len() as i64);
    }

    /// Trims the logs to their committed positions, and measures the lag.
    async fn trim(&self) {
        let ShardContext { metrics, label, .. } = &*self.context;
        let now_micros = Utc::now().timestamp_micros();
        let partitions = self.partitions.committed();
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
                Err(error) => tracing::warn!(%error, shard = label, "cannot trim the log"),
            }
        }
        metrics.shard_lag_entries.with_label_values(&[label]).set(lag_entries as i64);
        metrics.shard_lag_seconds.with_label_values(&[label]).set(lag_seconds);
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
            Err(error) => tracing::warn!(%error, %partition, "cannot read the end of the log"),
        }
    }
}
