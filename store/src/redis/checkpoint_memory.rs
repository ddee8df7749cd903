//! The memory of checkpoints in Redis, by partition, and the checkpoints that are worth least.
//!
//! The scripts that write and delete a checkpoint keep the account in the same step, so that it
//! holds for all nodes, and after a crash. The keys of a partition are in one slot of a Redis
//! Cluster.

use fred::interfaces::KeysInterface as _;
use futures_util::future::try_join_all;
use thicket_protocol::checkpoint::worth;
use thicket_schema::{PartitionId, SensorName};

use super::RedisError;
use super::checkpoints::CheckpointStore;
use super::settings::{RedisMemory, redis_memory};

/// Maximum number of requests in flight at once.
const MAX_IN_FLIGHT: usize = 500;

/// A checkpoint in the index of its partition.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedCheckpoint {
    /// The partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// What it is worth; infinite if it must not be evicted.
    pub worth: f64,
    /// Its memory in bytes.
    pub memory: u64,
    /// Number of readings that it contains.
    pub seq: u64,
}

impl ListedCheckpoint {
    /// Returns when it was saved, in days since the Unix epoch; `None` if it must not be evicted.
    pub fn saved_days(&self) -> Option<f64> {
        self.worth.is_finite().then(|| self.worth - worth(self.seq, 0.0))
    }
}

impl CheckpointStore {
    /// Returns the memory of the whole server.
    pub async fn server_memory(&self) -> Result<RedisMemory, RedisError> {
        redis_memory(&self.redis).await
    }

    /// Returns the memory of the checkpoints of each partition, in bytes.
    pub async fn memory(&self, partitions: u16) -> Result<Vec<u64>, RedisError> {
        let keys: Vec<String> =
            (0..partitions).map(|partition| self.keys.checkpoint_memory(PartitionId(partition))).collect();
        let mut memory = Vec::with_capacity(keys.len());
        for page in keys.chunks(MAX_IN_FLIGHT) {
            let requests = page.iter().map(|key| self.redis.get::<Option<u64>, _>(key));
            memory.extend(try_join_all(requests).await?.into_iter().map(Option::unwrap_or_default));
        }
        Ok(memory)
    }

    /// Returns the checkpoints of a partition that are worth at most `greatest`, those that are
    /// worth least first, at most `count`. Skips names that no sensor can have.
    pub async fn worth_least(
        &self,
        partition: PartitionId,
        greatest: f64,
        count: u32,
    ) -> Result<Vec<ListedCheckpoint>, RedisError> {
        // Infinite worth stands for checkpoints that must stay.
        let greatest = if greatest.is_finite() { greatest.to_string() } else { "(inf".to_owned() };
        self.list(partition, greatest, count.to_string()).await
    }

    /// Returns all checkpoints of a partition.
    pub async fn all(&self, partition: PartitionId) -> Result<Vec<ListedCheckpoint>, RedisError> {
        self.list(partition, "+inf".to_owned(), "-1".to_owned()).await
    }

    async fn list(
        &self,
        partition: PartitionId,
        greatest: String,
        count: String,
    ) -> Result<Vec<ListedCheckpoint>, RedisError> {
        let keys = vec![self.keys.checkpoints(partition)];
        let arguments = vec![self.keys.checkpoint_prefix(partition), greatest, count];
        let found: Vec<(String, f64, u64, u64)> =
            self.scripts.list.evalsha_with_reload(&self.redis, keys, arguments).await?;
        let listed = found.into_iter().filter_map(|(sensor, worth, memory, seq)| {
            let sensor = SensorName::new(&sensor).ok()?;
            Some(ListedCheckpoint { partition, sensor, worth, memory, seq })
        });
        Ok(listed.collect())
    }

    /// Deletes checkpoints, except those that are worth more by now. Returns the number of deleted
    /// ones.
    pub async fn evict(&self, checkpoints: &[ListedCheckpoint]) -> Result<usize, RedisError> {
        let mut evicted = 0;
        for page in checkpoints.chunks(MAX_IN_FLIGHT) {
            let requests = page.iter().map(|ListedCheckpoint { partition, sensor, worth, .. }| {
                self.remove(*partition, sensor, "worth", worth.to_string())
            });
            evicted += try_join_all(requests).await?.iter().filter(|(is_deleted, _)| *is_deleted).count();
        }
        Ok(evicted)
    }

    /// Computes the memory of a partition's checkpoints again: somebody may have deleted keys by
    /// hand.
    pub async fn recount(&self, partition: PartitionId) -> Result<u64, RedisError> {
        let keys = vec![self.keys.checkpoints(partition), self.keys.checkpoint_memory(partition)];
        let arguments = vec![self.keys.checkpoint_prefix(partition)];
        self.scripts.recount.evalsha_with_reload(&self.redis, keys, arguments).await
    }

    /// Excludes checkpoints from eviction, because rows that they contain are about to be dropped.
    /// Each has a sensor and the least seq that it must have. Returns for each whether there is
    /// such a checkpoint, in the order of `sensors`.
    pub async fn pin(&self, sensors: &[(PartitionId, SensorName, i64)]) -> Result<Vec<bool>, RedisError> {
        let mut pinned = Vec::with_capacity(sensors.len());
        for page in sensors.chunks(MAX_IN_FLIGHT) {
            let requests = page.iter().map(|(partition, sensor, seq)| {
                let keys = vec![self.keys.checkpoint(*partition, sensor), self.keys.checkpoints(*partition)];
                let arguments = vec![sensor.as_str().to_owned(), seq.to_string()];
                self.scripts.pin.evalsha_with_reload::<bool, _, _>(&self.redis, keys, arguments)
            });
            pinned.extend(try_join_all(requests).await?);
        }
        Ok(pinned)
    }
}
