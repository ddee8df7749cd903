//! The stores of the keeper, and how it gives partitions up.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use thicket_schema::{Keys, PartitionId};
use thicket_store::complaints;
use thicket_store::postgres::{
    PostgresPool, QuarantineEntry, StoreError, can_claim, mark_clean_shutdown, quarantine_reading,
};
use thicket_store::redis::Leases;

use crate::metrics::Metrics;
use crate::ownership::renewal::Renewal;

/// The stores and metrics of the keeper.
pub(super) struct KeeperStores {
    pub(super) leases: Leases,
    pub(super) renewal: Renewal,
    pub(super) keys: Keys,
    pub(super) pool: PostgresPool,
    pub(super) metrics: Metrics,
}

impl KeeperStores {
    pub(super) async fn release(&self, partitions: &[PartitionId]) {
        for &partition in partitions {
            self.renewal.give_up(&self.keys.lease(partition));
        }
        let releases = partitions.iter().map(|&partition| self.leases.release(self.keys.lease(partition)));
        for error in join_all(releases).await.into_iter().filter_map(Result::err) {
            if let Some(repeated) = complaints::due("release a lease", &error) {
                tracing::warn!(%error, repeated, "cannot release the lease of a partition");
            }
        }
    }

    /// Returns the partitions whose leases this node holds, also without owning the partition.
    pub(super) fn held(&self, partitions: u16) -> Vec<PartitionId> {
        let all = (0..partitions).map(PartitionId);
        all.filter(|&partition| !self.renewal.is_lost(&self.keys.lease(partition))).collect()
    }

    /// Returns whether PostgreSQL lets this node claim partitions.
    pub(super) async fn can_claim(&self) -> bool {
        can_claim(&self.pool).await.is_ok()
    }

    pub(super) async fn quarantine(&self, entry: &QuarantineEntry) -> Result<bool, StoreError> {
        quarantine_reading(&self.pool, entry).await
    }
}

/// Marks partitions as cleanly shut down and releases leases, so that another node does not have to
/// wait until they expire.
pub(super) async fn record_and_release(
    stores: &KeeperStores,
    clean: &BTreeMap<PartitionId, i64>,
    leases: &[PartitionId],
) {
    if let Err(error) = mark_clean_shutdown(&stores.pool, clean).await {
        tracing::warn!(%error, "cannot record the clean shutdown; the next owner will search for a poison reading");
    }
    stores.release(leases).await;
    stores.metrics.refresh();
}

/// Releases all leases at a shutdown.
pub(super) async fn leave(stores: &KeeperStores, clean: &BTreeMap<PartitionId, i64>, leases: &[PartitionId]) {
    record_and_release(stores, clean, leases).await;
    stores.metrics.leases.clear();
    stores.metrics.refresh();
}
