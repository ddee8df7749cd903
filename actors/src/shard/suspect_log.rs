//! Records in Redis what the shard is about to apply, after an owner that crashed.

use thicket_schema::{PartitionId, Position};
use thicket_store::redis::{LogReader, RedisError, Suspect, Suspects};
use thicket_store::retry::until_ok;

use super::poison_search::PoisonSearch;

/// The crash suspects of this shard's partitions.
#[derive(Debug)]
pub(super) struct SuspectLog {
    suspects: Suspects,
}

impl SuspectLog {
    pub(super) const fn new(suspects: Suspects) -> Self {
        Self { suspects }
    }

    /// Returns what to suspect of a partition whose last owner crashed, `None` if there is nothing. Waits for Redis.
    pub(super) async fn load(
        &self,
        reader: &LogReader,
        partition: PartitionId,
        committed: Position,
    ) -> Option<PoisonSearch> {
        let ask = async || -> Result<_, RedisError> {
            let record = self.suspects.load(partition).await?;
            Ok((record, reader.newest(partition).await?))
        };
        let warn = |error: &RedisError| {
            tracing::warn!(%error, %partition, "cannot read what the last owner was about to apply; retrying");
        };
        let (record, newest) = until_ok(ask, warn).await;
        if let Some(record) = record {
            tracing::warn!(%partition, ?record, "the last owner crashed while it applied this");
        }
        PoisonSearch::new(record, committed, newest)
    }

    /// Records a suspect. Returns once Redis has it.
    pub(super) async fn record(&self, partition: PartitionId, suspect: Suspect) {
        let warn = |error: &RedisError| {
            tracing::warn!(%error, %partition, "cannot record what is applied next; retrying");
        };
        until_ok(async || self.suspects.record(partition, suspect).await, warn).await;
    }

    /// Deletes the record of a partition. A record that stays is about committed entries, which no one suspects.
    pub(super) async fn clear(&self, partition: PartitionId) {
        if let Err(error) = self.suspects.clear(partition).await {
            tracing::debug!(%error, %partition, "the record of the crash suspect was not deleted");
        }
    }
}
