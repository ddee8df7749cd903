//! Redis as a test sees it: how far the logs go, what was trimmed, which checkpoints there are; and
//! ways to damage them.

use std::collections::HashMap;

use anyhow::Context as _;
use fred::clients::Client;
use fred::interfaces::{
    ClientLike as _, ConfigInterface as _, HashesInterface as _, KeysInterface as _, StreamsInterface as _,
};
use fred::types::{ClusterHash, CustomCommand, InfoKind, Value, config::Config};
use thicket_schema::{Keys, LeaseKey, NodesKey, PartitionId, Position, SensorName};

/// A connection that knows the deployment's keys.
pub struct RedisProbe {
    client: Client,
    keys: Keys,
    partitions: u16,
}

/// The state of a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The newest entry that the log ever held.
    pub newest: Position,
    /// The number of entries that it holds.
    pub entries: u64,
    /// Whether entries were trimmed from it.
    pub trimmed: bool,
}

impl RedisProbe {
    /// Connects to the Redis of a deployment with the default key prefix.
    pub async fn connect(url: &str, partitions: u16) -> anyhow::Result<Self> {
        let client = Client::new(Config::from_url(url)?, None, None, None);
        client.init().await?;
        Ok(Self { client, keys: Keys::default(), partitions })
    }

    /// Returns the state of each partition's log, by the partition's number.
    pub async fn logs(&self) -> anyhow::Result<Vec<LogState>> {
        let mut logs = Vec::new();
        for partition in 0..self.partitions {
            logs.push(self.log(PartitionId(partition)).await?);
        }
        Ok(logs)
    }

    async fn log(&self, partition: PartitionId) -> anyhow::Result<LogState> {
        let key = self.keys.log(partition);
        if !self.client.exists::<bool, _>(key.clone()).await? {
            return Ok(LogState::default());
        }
        let info: HashMap<String, Value> = self.client.xinfo_stream(key, false, None).await?;
        let newest = info.get("last-generated-id").and_then(Value::as_string);
        let number = |name: &str| info.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (entries, added) = (number("length"), number("entries-added"));
        let newest = newest.and_then(|id| id.parse().ok()).unwrap_or_default();
        Ok(LogState { newest, entries, trimmed: added > entries })
    }

    /// Returns the sequence number of a sensor's checkpoint; 0 if there is none.
    pub async fn checkpoint_seq(&self, sensor: &SensorName) -> anyhow::Result<u64> {
        let seq: Option<u64> = self.client.hget(self.checkpoint(sensor), "seq").await?;
        Ok(seq.unwrap_or_default())
    }

    /// Overwrites the sequence number of a sensor's checkpoint.
    pub async fn set_checkpoint_seq(&self, sensor: &SensorName, seq: u64) -> anyhow::Result<()> {
        Ok(self.client.hset(self.checkpoint(sensor), ("seq", seq.to_string())).await?)
    }

    /// Overwrites the state in a sensor's checkpoint.
    pub async fn set_checkpoint_state(&self, sensor: &SensorName, state: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.client.hset(self.checkpoint(sensor), ("state", Value::Bytes(state.into()))).await?)
    }

    /// Deletes a sensor's checkpoint. Returns whether there was one.
    pub async fn delete_checkpoint(&self, sensor: &SensorName) -> anyhow::Result<bool> {
        Ok(self.client.del(self.checkpoint(sensor)).await?)
    }

    /// Appends an entry to a partition's log, as an unknown version of the engine would.
    pub async fn append_entry(&self, partition: PartitionId, id: &str, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.client.xadd(self.keys.log(partition), false, None, id, ("e", bytes)).await?)
    }

    /// Deletes a partition's log.
    pub async fn delete_log(&self, partition: PartitionId) -> anyhow::Result<()> {
        Ok(self.client.del(self.keys.log(partition)).await?)
    }

    /// Deletes every partition's lease and every heartbeat of a node, as if they had expired.
    pub async fn drop_partition_leases(&self) -> anyhow::Result<()> {
        let lease = |partition| {
            let LeaseKey(key) = self.keys.lease(PartitionId(partition));
            key
        };
        let NodesKey(nodes) = self.keys.nodes();
        let keys: Vec<String> = (0..self.partitions).map(lease).chain([nodes]).collect();
        Ok(self.client.del(keys).await?)
    }

    /// Gives a partition's lease to a node that does not exist.
    pub async fn give_lease_away(&self, partition: PartitionId) -> anyhow::Result<()> {
        let LeaseKey(lease) = self.keys.lease(partition);
        Ok(self.client.set(lease, "another-node", None, None, false).await?)
    }

    /// Returns the fields of a partition's crash suspect.
    pub async fn crash_suspect(&self, partition: PartitionId) -> anyhow::Result<HashMap<String, String>> {
        Ok(self.client.hgetall(self.keys.crash_suspect(partition)).await?)
    }

    /// Deletes the lease of the subscriptions, as if it had expired.
    pub async fn drop_subscription_lease(&self) -> anyhow::Result<()> {
        let LeaseKey(key) = self.keys.ingress_lease();
        Ok(self.client.del(key).await?)
    }

    /// Fills the server with keys of another program, until a part of `maxmemory` is in use: so many
    /// sixteenths.
    pub async fn fill(&self, sixteenths: usize) -> anyhow::Result<()> {
        for number in 0_usize.. {
            let info: String = self.client.info(Some(InfoKind::Memory)).await?;
            let bytes = |key: &str| -> anyhow::Result<usize> {
                let text = info.lines().find_map(|line| line.strip_prefix(key));
                Ok(text.context("a line of INFO memory")?.trim().parse()?)
            };
            if bytes("used_memory:")? >= bytes("maxmemory:")? / 16 * sixteenths {
                break;
            }
            // The memory of a command counts, too, so each of them is small.
            let key = format!("another-program:{number}");
            self.client.set::<(), _, _>(key, vec![b'x'; 50_000].as_slice(), None, None, false).await?;
        }
        Ok(())
    }

    /// Deletes everything.
    pub async fn delete_everything(&self) -> anyhow::Result<()> {
        Ok(self.client.flushall(false).await?)
    }

    /// Changes a setting of the server, such as `maxmemory`.
    pub async fn set_config(&self, key: &str, value: &str) -> anyhow::Result<()> {
        Ok(self.client.config_set(key, value).await?)
    }

    /// Returns how often the server was given a command, such as `xread`.
    pub async fn calls(&self, command: &str) -> anyhow::Result<u64> {
        let info: String = self.client.info(Some(InfoKind::CommandStats)).await?;
        let prefix = format!("cmdstat_{command}:calls=");
        let calls = info.lines().find_map(|line| line.strip_prefix(&prefix));
        Ok(calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default())
    }

    /// Creates a user with a password and rights, as in a line of an ACL file.
    pub async fn create_user(&self, name: &str, password: &str, rights: &str) -> anyhow::Result<()> {
        let password = format!(">{password}");
        let arguments = ["SETUSER", name, "on", &password].into_iter().chain(rights.split_whitespace());
        self.acl(arguments.map(str::to_owned).collect()).await.map(drop)
    }

    /// Returns what the server has refused for lack of rights: the commands and keys.
    pub async fn refused(&self) -> anyhow::Result<Vec<String>> {
        let entries: Vec<HashMap<String, Value>> = self.acl(vec!["LOG".to_owned()]).await?.convert()?;
        Ok(entries.iter().filter_map(|entry| entry.get("object")?.as_string()).collect())
    }

    async fn acl(&self, arguments: Vec<String>) -> anyhow::Result<Value> {
        let command = CustomCommand::new_static("ACL", ClusterHash::FirstKey, false);
        Ok(self.client.custom(command, arguments).await?)
    }

    fn checkpoint(&self, sensor: &SensorName) -> String {
        self.keys.checkpoint(sensor.partition(self.partitions), sensor)
    }
}

impl Drop for RedisProbe {
    fn drop(&mut self) {
        let client = self.client.clone();
        tokio::spawn(async move { drop(client.quit().await) });
    }
}
