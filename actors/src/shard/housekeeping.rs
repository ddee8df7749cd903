//! What a shard does beside scoring: it trims its logs, measures its lag, retires idle detectors, and reports what was lost.

use std::time::Instant;

use chrono::Utc;
use futures_util::future::join_all;
use thicket_schema::{PartitionId, Position};

use super::desk::{Desk, State};
use super::partition::Partition;
use super::work::Stretch;
use crate::protocol::log::tail_is_lost;
use crate::writer::Loss;

impl Desk {
    pub(super) fn report_losses(&self, stretch: &Stretch) {
        for Loss { after, before } in &stretch.losses {
            self.nursery.metrics.log_gaps.inc();
            tracing::error!(partition = %stretch.partition, %after, %before, "the log has a gap: entries between these were acknowledged and are gone");
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
                self.nursery.metrics.log_gaps.inc();
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
        let metrics = &self.nursery.metrics;
        metrics.shard_lag_entries.with_label_values(&[&self.label]).set(lag_entries as i64);
        metrics.shard_lag_seconds.with_label_values(&[&self.label]).set(lag_seconds);
        self.retire().await;
        let resident = self.state.borrow().residents.len();
        metrics.detectors.with_label_values(&[&self.label]).set(resident as i64);
    }

    async fn retire(&self) {
        let options = &self.nursery.options;
        let idle = {
            let mut state = self.state.borrow_mut();
            let State { partitions, residents } = &mut *state;
            let committed = |id| {
                partitions.get(&id).map_or(Position::default(), |partition| partition.progress.committed)
            };
            residents.take_idle(Instant::now(), options.retire_after, options.max_resident, committed)
        };
        for resident in idle {
            self.nursery.save_last(&resident).await;
            self.nursery.metrics.detector_retirements.inc();
        }
    }

    /// Waits for the commits on their way and saves every detector.
    pub(super) async fn finish(&self) {
        let ids: Vec<PartitionId> = self.state.borrow().partitions.keys().copied().collect();
        for id in ids {
            self.settle(id).await;
        }
        let residents = self.state.borrow_mut().residents.take_all();
        for resident in residents {
            self.nursery.save_last(&resident).await;
        }
    }
}
