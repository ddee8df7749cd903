//! Checkpoints in Redis. An older checkpoint never replaces a newer one.

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::HashesInterface as _;
use fred::types::Value;
use fred::types::scripts::Script;
use futures_util::future::try_join_all;
use thicket_schema::{Checkpoint, Keys, PartitionId, SensorName};

use super::RedisError;
use crate::faults;

/// Decides as [`thicket_protocol::checkpoint::is_written`] does.
const SAVE: &str = include_str!("save.lua");

/// Deletes a checkpoint if its seq is still the given one.
const DELETE: &str = "
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// Reads and writes checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    redis: Client,
    keys: Keys,
    save: Script,
    delete: Script,
}

impl CheckpointStore {
    /// Creates a store under the given keys.
    pub fn new(redis: Client, keys: Keys) -> Self {
        Self { redis, keys, save: Script::from_lua(SAVE), delete: Script::from_lua(DELETE) }
    }

    /// Writes a checkpoint unless a newer one is stored. Returns its size in bytes.
    pub async fn save(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        checkpoint: &Checkpoint,
    ) -> Result<usize, RedisError> {
        let bytes = Bytes::from(checkpoint.encode());
        let size = bytes.len();
        let key = self.keys.checkpoint(partition, sensor);
        let arguments: Vec<Value> = vec![checkpoint.seq.to_string().into(), Value::Bytes(bytes)];
        faults::pass("checkpoint.before");
        let _: i64 = self.save.evalsha_with_reload(&self.redis, vec![key], arguments).await?;
        faults::pass("checkpoint.after");
        Ok(size)
    }

    /// Deletes a checkpoint that must not be used. It would prevent the write of a valid checkpoint
    /// with a smaller seq. A checkpoint that is written meanwhile stays.
    pub async fn delete(&self, partition: PartitionId, sensor: &SensorName) -> Result<(), RedisError> {
        let key = self.keys.checkpoint(partition, sensor);
        let seq: Option<String> = self.redis.hget(key.clone(), "seq").await?;
        if let Some(seq) = seq {
            let _: i64 = self.delete.evalsha_with_reload(&self.redis, vec![key], vec![seq]).await?;
        }
        Ok(())
    }

    /// Reads the checkpoint of a sensor. Logs an error if it cannot be read; the detector can be
    /// rebuilt from its rows.
    pub async fn load(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
    ) -> Result<StoredCheckpoint, RedisError> {
        let state: Option<Bytes> = self.redis.hget(self.keys.checkpoint(partition, sensor), "state").await?;
        let Some(state) = state else { return Ok(StoredCheckpoint::Missing) };
        Ok(match Checkpoint::decode(&state) {
            Ok(checkpoint) if checkpoint.sensor == sensor.as_str() => StoredCheckpoint::Readable(checkpoint),
            Ok(checkpoint) => {
                tracing::error!(%sensor, found = checkpoint.sensor, "the checkpoint belongs to another sensor; rebuilding the detector from its rows");
                StoredCheckpoint::Unreadable
            }
            Err(error) => {
                tracing::error!(%sensor, %error, "the checkpoint cannot be read; rebuilding the detector from its rows");
                StoredCheckpoint::Unreadable
            }
        })
    }
}

/// The value under the checkpoint key of a sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredCheckpoint {
    /// There is no value.
    Missing,
    /// The value is no checkpoint of this sensor, or this build cannot read it.
    Unreadable,
    /// A checkpoint of this sensor.
    Readable(Checkpoint),
}

impl StoredCheckpoint {
    /// Returns the checkpoint, or `None` if it is missing or unreadable.
    pub fn readable(self) -> Option<Checkpoint> {
        match self {
            Self::Readable(checkpoint) => Some(checkpoint),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// Maximum number of requests in flight at once.
const MAX_IN_FLIGHT: usize = 500;

/// Returns the seq of each sensor's checkpoint, in the order of `sensors`. `None` stands for a
/// missing checkpoint.
pub async fn checkpoint_seqs(
    redis: &Client,
    keys: &Keys,
    sensors: &[(PartitionId, SensorName)],
) -> Result<Vec<Option<i64>>, RedisError> {
    let mut seqs = Vec::with_capacity(sensors.len());
    for page in sensors.chunks(MAX_IN_FLIGHT) {
        let requests = page.iter().map(|(partition, sensor)| {
            redis.hget::<Option<i64>, _, _>(keys.checkpoint(*partition, sensor), "seq")
        });
        seqs.extend(try_join_all(requests).await?);
    }
    Ok(seqs)
}
