//! Checkpoints in Redis. An older checkpoint never replaces a newer one.

use std::sync::Arc;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::HashesInterface as _;
use fred::types::Value;
use fred::types::scripts::Script;
use futures_util::future::try_join_all;
use thicket_schema::{Checkpoint, Keys, PartitionId, SensorName};

use super::RedisError;
use super::allocation::memory_of;
use crate::faults;

/// Decides as [`thicket_protocol::checkpoint::is_written`] does.
const SAVE: &str = include_str!("save.lua");

/// Reads and writes checkpoints, and keeps the account of their memory.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    pub(super) redis: Client,
    pub(super) keys: Keys,
    pub(super) scripts: Arc<Scripts>,
}

/// The scripts of the checkpoints of one partition.
#[derive(Debug)]
pub(super) struct Scripts {
    save: Script,
    pub(super) remove: Script,
    pub(super) list: Script,
    pub(super) recount: Script,
    pub(super) pin: Script,
}

/// The result of a [`save`](CheckpointStore::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Whether the checkpoint was written. Otherwise a newer one is stored.
    pub is_written: bool,
    /// Bytes of the checkpoint.
    pub bytes: usize,
    /// Memory of all checkpoints of the partition, in bytes.
    pub partition_memory: u64,
}

impl CheckpointStore {
    /// Creates a store under the given keys.
    pub fn new(redis: Client, keys: Keys) -> Self {
        let scripts = Scripts {
            save: Script::from_lua(SAVE),
            remove: Script::from_lua(include_str!("remove.lua")),
            list: Script::from_lua(include_str!("list.lua")),
            recount: Script::from_lua(include_str!("recount.lua")),
            pin: Script::from_lua(include_str!("pin.lua")),
        };
        Self { redis, keys, scripts: Arc::new(scripts) }
    }

    /// Writes a checkpoint unless a newer one is stored. `worth` decides which checkpoints are
    /// evicted first: see [`thicket_protocol::checkpoint::worth`].
    pub async fn save(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        checkpoint: &Checkpoint,
        worth: f64,
    ) -> Result<Saved, RedisError> {
        let state = Bytes::from(checkpoint.encode());
        let bytes = state.len();
        let arguments: Vec<Value> = vec![
            checkpoint.seq.to_string().into(),
            Value::Bytes(state),
            memory_of(bytes, sensor).to_string().into(),
            worth.to_string().into(),
            sensor.as_str().into(),
        ];
        faults::pass("checkpoint.before");
        let keys = self.script_keys(partition, sensor);
        let (is_written, partition_memory): (bool, u64) =
            self.scripts.save.evalsha_with_reload(&self.redis, keys, arguments).await?;
        faults::pass("checkpoint.after");
        Ok(Saved { is_written, bytes, partition_memory })
    }

    /// Deletes a checkpoint that must not be used, or whose sensor is gone. It would prevent the
    /// write of a valid checkpoint with a smaller seq. A checkpoint that is written meanwhile
    /// stays.
    pub async fn delete(&self, partition: PartitionId, sensor: &SensorName) -> Result<(), RedisError> {
        let seq: Option<String> = self.redis.hget(self.keys.checkpoint(partition, sensor), "seq").await?;
        if let Some(seq) = seq {
            self.remove(partition, sensor, "seq", seq).await?;
        }
        Ok(())
    }

    /// Deletes a checkpoint under a condition of `remove.lua`. Returns whether it was deleted, and
    /// the memory of the partition's checkpoints.
    pub(super) async fn remove(
        &self,
        partition: PartitionId,
        sensor: &SensorName,
        condition: &str,
        value: String,
    ) -> Result<(bool, u64), RedisError> {
        let arguments = vec![sensor.as_str().to_owned(), condition.to_owned(), value];
        let keys = self.script_keys(partition, sensor);
        self.scripts.remove.evalsha_with_reload(&self.redis, keys, arguments).await
    }

    /// Returns the keys of the scripts that write one checkpoint.
    fn script_keys(&self, partition: PartitionId, sensor: &SensorName) -> Vec<String> {
        vec![
            self.keys.checkpoint(partition, sensor),
            self.keys.checkpoints(partition),
            self.keys.checkpoint_memory(partition),
        ]
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
