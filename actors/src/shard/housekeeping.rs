//! What a shard does beside scoring: it trims its logs, measures its lag, retires idle detectors, and reports what was lost.

use std::time::Instant;

use chrono::Utc;
use futures_util::future::join_all;
use thicket_schema::{PartitionId, Position};

use super::desk::{Desk, State};
use super::partition::Partition;
use thicket_protocol::log::tail_is_lost;
use thicket_store::postgres::LogLoss;

impl Desk {
    pub(super) fn report_losses(&self, partition: PartitionId, losses: &[LogLoss]) {
        for LogLoss { after, before } in losses {
            self.pool.metrics.log_gaps.inc();
            tracing::error!(%partition, %after, %before, "the log has a gap: entries between these were acknowledged and are gone");
        }
    }

    /// Reports a log that ends below what was committed: Redis lost what it had acknowledged.
    pub(super) async fn check_tail(&self, partition: PartitionId, committed: Position) {
        if committed == Position::default() {
            return;
        }
        match self.reader.newest(partition).await {
            Ok(newest) if tail_is_lost(newest, committed) => {
                let newest = newest.unwrap_or_default();
                self.pool.metrics.log_gaps.inc();
                tracing::error!(%partition, %newest, %committed, "the log ends below the committed position: redis lost it");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, %partition, "the log's end cannot be read"),
        }
    }

    /// Trims, measures and retires.
    pub(super) async fn keep_house(&self) {
        let now_micros = Utc::now().timestamp_micros();
        let partitions: Vec<(PartitionId, Position, i64)> = {
            let state = self.state.borrow();
            let place = |(&id, partition): (&PartitionId, &Partition)| {
                (id, partition.progress.committed, partition.committed_received)
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
        let metrics = &self.pool.metrics;
        metrics.shard_lag_entries.with_label_values(&[&self.label]).set(lag_entries as i64);
        metrics.shard_lag_seconds.with_label_values(&[&self.label]).set(lag_seconds);
        self.retire().await;
        let cached = self.state.borrow().cache.len();
        metrics.detectors.with_label_values(&[&self.label]).set(cached as i64);
    }

    async fn retire(&self) {
        let options = &self.pool.options;
        let idle = {
            let mut state = self.state.borrow_mut();
            let State { partitions, cache } = &mut *state;
            let committed = |id| {
                partitions.get(&id).map_or(Position::default(), |partition| partition.progress.committed)
            };
            cache.take_idle(Instant::now(), options.evict_after, options.max_resident, committed)
        };
        for cached in idle {
            self.pool.save_last(&cached).await;
            self.pool.metrics.detector_evictions.inc();
        }
    }

    /// Waits for the commits on their way and saves every detector.
    pub(super) async fn finish(&self) {
        let ids: Vec<PartitionId> = self.state.borrow().partitions.keys().copied().collect();
        for id in ids {
            self.wait_for_commits(id).await;
        }
        let cache = self.state.borrow_mut().cache.take_all();
        for cached in cache {
            self.pool.save_last(&cached).await;
        }
    }
}
