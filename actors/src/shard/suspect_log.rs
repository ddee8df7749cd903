//! Records in Redis which entries the shard is about to apply, after an owner that crashed.

use thicket_schema::{PartitionId, Position};
use thicket_store::complaints;
use thicket_store::redis::{LogReader, RedisError, Suspect, Suspects};
use thicket_store::retry::until_ok;
use tokio::sync::RwLock;

use super::poison_search::PoisonSearch;

/// The crash suspects of this shard's partitions.
#[derive(Debug)]
pub(super) struct SuspectLog {
    suspects: Suspects,
    /// Shared by the records on their way. A withdrawal holds it alone, so that no record arrives
    /// after it.
    on_their_way: RwLock<()>,
}

impl SuspectLog {
    pub(super) fn new(suspects: Suspects) -> Self {
        Self { suspects, on_their_way: RwLock::default() }
    }

    /// Returns the search for a partition whose last owner crashed, or `None` if no entry is
    /// suspected. Retries until Redis answers.
    pub(super) async fn load(
        &self,
        reader: &LogReader,
        partition: PartitionId,
        committed: Position,
    ) -> Option<PoisonSearch> {
        let query = async || -> Result<_, RedisError> {
            let record = self.suspects.load(partition).await?;
            Ok((record, reader.newest(partition).await?))
        };
        let warn = |error: &RedisError| {
            if let Some(repeated) = complaints::due("read a crash suspect", error) {
                tracing::warn!(%error, %partition, repeated, "cannot read the crash suspect of the partition; retrying");
            }
        };
        let (record, newest) = until_ok(query, warn).await;
        if let Some(record) = record {
            tracing::warn!(%partition, ?record, "the last owner left these entries unfinished; they are searched for a poison reading");
        }
        PoisonSearch::new(record, committed, newest)
    }

    /// Records a suspect. Returns once Redis has it.
    pub(super) async fn record(&self, partition: PartitionId, suspect: Suspect) {
        let warn = |error: &RedisError| {
            if let Some(repeated) = complaints::due("record a crash suspect", error) {
                tracing::warn!(%error, %partition, repeated, "cannot record the crash suspect of the partition; retrying");
            }
        };
        let _on_its_way = self.on_their_way.read().await;
        until_ok(async || self.suspects.record(partition, suspect).await, warn).await;
    }

    /// Withdraws the recorded reading of a partition that the shard has closed: nothing applies it.
    /// After an error, the next owner counts a death. One death may be a coincidence.
    pub(super) async fn withdraw(&self, partition: PartitionId) {
        let _none_on_its_way = self.on_their_way.write().await;
        if let Err(error) = self.suspects.withdraw(partition).await {
            tracing::debug!(%error, %partition, "cannot withdraw the crash suspect of the partition");
        }
    }

    /// Deletes the record of a partition. An error does no harm: the entries of the record are
    /// committed, and committed entries are not suspected.
    pub(super) async fn clear(&self, partition: PartitionId) {
        if let Err(error) = self.suspects.clear(partition).await {
            tracing::debug!(%error, %partition, "cannot delete the crash suspect of the partition");
        }
    }
}
