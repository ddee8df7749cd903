//! Redis as the harness looks at it: how far the logs go, what was trimmed, which checkpoints there are.

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, HashesInterface as _, KeysInterface as _, StreamsInterface as _};
use fred::types::{Value, config::Config};
use thicket_schema::{Keys, PartitionId, Position, SensorName};

use crate::settings::PARTITIONS;

/// A connection.
pub(crate) struct Queue {
    redis: Client,
    keys: Keys,
}

/// What a partition's log has been through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogState {
    /// The newest entry it ever held.
    pub(crate) newest: Position,
    /// Whether entries were dropped from it.
    pub(crate) trimmed: bool,
}

impl Queue {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let redis = Client::new(Config::from_url(url)?, None, None, None);
        redis.init().await?;
        Ok(Self { redis, keys: Keys::default() })
    }

    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        Ok(self.redis.flushall(false).await?)
    }

    /// Each partition's log, by the partition's number.
    pub(crate) async fn logs(&self) -> anyhow::Result<Vec<LogState>> {
        let mut logs = Vec::new();
        for partition in 0..PARTITIONS {
            let log = self.keys.log(PartitionId(partition));
            let exists: bool = self.redis.exists(log.clone()).await?;
            if !exists {
                logs.push(LogState::default());
                continue;
            }
            let info: std::collections::HashMap<String, Value> =
                self.redis.xinfo_stream(log, false, None).await?;
            let newest = info.get("last-generated-id").and_then(Value::as_string);
            let number = |name: &str| info.get(name).and_then(Value::as_u64).unwrap_or_default();
            logs.push(LogState {
                newest: newest.and_then(|id| id.parse().ok()).unwrap_or_default(),
                trimmed: number("entries-added") > number("length"),
            });
        }
        Ok(logs)
    }

    /// The seq of a sensor's checkpoint.
    pub(crate) async fn checkpoint(&self, sensor: &SensorName) -> anyhow::Result<u64> {
        let key = self.keys.checkpoint(sensor.partition(PARTITIONS), sensor);
        let seq: Option<u64> = self.redis.hget(key, "seq").await?;
        Ok(seq.unwrap_or_default())
    }

    /// Takes every partition's lease from whoever holds it, as if it had run out.
    pub(crate) async fn drop_partition_leases(&self) -> anyhow::Result<()> {
        let leases: Vec<String> = (0..PARTITIONS).map(|id| self.keys.lease(PartitionId(id))).collect();
        Ok(self.redis.del(leases).await?)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let redis = self.redis.clone();
        tokio::spawn(async move { drop(redis.quit().await) });
    }
}
