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

const FORGET: &str = "
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// Reads and writes checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    redis: Client,
    keys: Keys,
    save: Script,
    forget: Script,
}

impl CheckpointStore {
    /// Creates a store of checkpoints under the given keys.
    pub fn new(redis: Client, keys: Keys) -> Self {
        Self { redis, keys, save: Script::from_lua(SAVE), forget: Script::from_lua(FORGET) }
    }

    /// Writes a checkpoint, unless a newer one is stored. Returns its size in bytes.
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

    /// Deletes a checkpoint that a restore does not use, so that it blocks no later one. A
    /// checkpoint that was written meanwhile is kept.
    pub async fn forget(&self, partition: PartitionId, sensor: &SensorName) -> Result<(), RedisError> {
        let key = self.keys.checkpoint(partition, sensor);
        let seq: Option<String> = self.redis.hget(key.clone(), "seq").await?;
        if let Some(seq) = seq {
            let _: i64 = self.forget.evalsha_with_reload(&self.redis, vec![key], vec![seq]).await?;
        }
        Ok(())
    }

    /// Reads a sensor's checkpoint. A checkpoint that cannot be read is logged: the rows can
    /// replace it.
    pub async fn load(&self, partition: PartitionId, sensor: &SensorName) -> Result<Stored, RedisError> {
        let state: Option<Bytes> = self.redis.hget(self.keys.checkpoint(partition, sensor), "state").await?;
        let Some(state) = state else { return Ok(Stored::Nothing) };
        Ok(match Checkpoint::decode(&state) {
            Ok(checkpoint) if checkpoint.sensor == sensor.as_str() => Stored::Checkpoint(checkpoint),
            Ok(checkpoint) => {
                tracing::error!(%sensor, found = checkpoint.sensor, "the checkpoint is another sensor's; rebuilding from rows");
                Stored::Unreadable
            }
            Err(error) => {
                tracing::error!(%sensor, %error, "the checkpoint cannot be read; rebuilding from rows");
                Stored::Unreadable
            }
        })
    }
}

/// The value of a sensor's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A value that is not a checkpoint of this sensor, or that this program cannot read.
    Unreadable,
    /// A checkpoint.
    Checkpoint(Checkpoint),
}

impl Stored {
    /// The checkpoint, if it is one.
    pub fn readable(self) -> Option<Checkpoint> {
        match self {
            Self::Checkpoint(checkpoint) => Some(checkpoint),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// Most requests that are in flight at once.
const AT_ONCE: usize = 500;

/// Returns the seq of each sensor's checkpoint, in the order of `sensors`; `None` if there is no
/// checkpoint.
pub async fn checkpoint_seqs(
    redis: &Client,
    keys: &Keys,
    sensors: &[(PartitionId, SensorName)],
) -> Result<Vec<Option<i64>>, RedisError> {
    let mut seqs = Vec::with_capacity(sensors.len());
    for page in sensors.chunks(AT_ONCE) {
        let asked = page.iter().map(|(partition, sensor)| {
            redis.hget::<Option<i64>, _, _>(keys.checkpoint(*partition, sensor), "seq")
        });
        seqs.extend(try_join_all(asked).await?);
    }
    Ok(seqs)
}
