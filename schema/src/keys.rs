//! The names of all keys in Redis. No other code formats a key.
//!
//! The keys of a partition share the hash tag `{p07}`. A Redis Cluster therefore keeps them in one
//! slot, and spreads the partitions over its nodes.
//!
//! | key | type | what |
//! |---|---|---|
//! | `thicket:{p07}:log` | stream | the partition's entries |
//! | `thicket:{p07}:writer` | hash | the producer that may append |
//! | `thicket:{p07}:lease` | string | the node that owns the partition |
//! | `thicket:{p07}:crash_suspect` | hash | the records to apply next: the suspects of a crash |
//! | `thicket:{p07}:checkpoint:<sensor>` | hash | a detector's [checkpoint](crate::Checkpoint), and its memory |
//! | `thicket:{p07}:checkpoints` | sorted set | the sensors with a checkpoint, by its worth |
//! | `thicket:{p07}:checkpoint_memory` | string | the memory of the partition's checkpoints |
//! | `thicket:nodes` | sorted set | the live nodes, by the time at which each heartbeat expires |
//! | `thicket:ingress:deployment` | string | the name of the deployment, as in PostgreSQL |
//! | `thicket:ingress:ingress_epoch` | string | epoch of the newest holder of the MQTT subscriptions |
//! | `thicket:ingress:lease` | string | the node that holds the MQTT subscriptions |
//! | `thicket:ingress:importing` | string | the mark of an import that has not ended |
//! | `thicket:ingress:sessions` | hash | the sessions that brokers have had, by client id and address |
//! | `thicket:ingress:<client id>:births` | hash | the Sparkplug births that were learnt at a broker |

use crate::ids::{PartitionId, SensorName};
use crate::text::excerpt;

/// The error for a prefix that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key prefix {0:?} cannot be used; write letters, digits, `_`, `-`, `.` and `:`, without braces")]
pub struct KeyPrefixError(String);

/// The key of a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseKey(pub String);

/// The key of the heartbeats of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodesKey(pub String);

/// The key of the counter that numbers the holders of the MQTT subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKey(pub String);

/// Makes the keys of one deployment. Several deployments can share a Redis under different
/// prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { prefix: "thicket".to_owned() }
    }
}

impl Keys {
    /// Makes keys under a prefix. Rejects braces: a hash tag in the prefix would put all partitions
    /// into one slot.
    pub fn new(prefix: &str) -> Result<Self, KeyPrefixError> {
        let usable = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if prefix.is_empty() || !prefix.chars().all(usable) {
            return Err(KeyPrefixError(excerpt(prefix)));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// Returns the key of the stream of entries.
    pub fn log(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "log")
    }

    /// Returns the key of the producer that may append to the log.
    pub fn writer(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "writer")
    }

    /// Returns the key of the lease of the node that owns the partition.
    pub fn lease(&self, partition: PartitionId) -> LeaseKey {
        LeaseKey(self.of_partition(partition, "lease"))
    }

    /// Returns the key of the records that the owner applies next. They are suspects if it crashes.
    pub fn crash_suspect(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "crash_suspect")
    }

    /// Returns the key of the checkpoint of a sensor's detector. `partition` is the partition of
    /// the sensor.
    pub fn checkpoint(&self, partition: PartitionId, sensor: &SensorName) -> String {
        format!("{}{sensor}", self.checkpoint_prefix(partition))
    }

    /// Returns what the keys of the checkpoints of a partition begin with. The name of the sensor
    /// follows.
    pub fn checkpoint_prefix(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "checkpoint:")
    }

    /// Returns the key of the sensors of a partition that have a checkpoint.
    pub fn checkpoints(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "checkpoints")
    }

    /// Returns the key of the memory that the checkpoints of a partition take.
    pub fn checkpoint_memory(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "checkpoint_memory")
    }

    /// Returns the key of the heartbeats of the nodes.
    pub fn nodes(&self) -> NodesKey {
        NodesKey(format!("{}:nodes", self.prefix))
    }

    /// Returns the key of the lease of the node that holds the MQTT subscriptions.
    pub fn ingress_lease(&self) -> LeaseKey {
        LeaseKey(format!("{}:ingress:lease", self.prefix))
    }

    /// Returns the key of the epoch of the newest holder of the subscriptions.
    pub fn ingress_epoch(&self) -> EpochKey {
        EpochKey(format!("{}:ingress:ingress_epoch", self.prefix))
    }

    /// Returns the key of the sessions that brokers have had.
    pub fn sessions(&self) -> String {
        format!("{}:ingress:sessions", self.prefix)
    }

    /// Returns the key of the Sparkplug births that the holders of a subscription have learnt.
    pub fn births(&self, client_id: &str) -> String {
        format!("{}:ingress:{client_id}:births", self.prefix)
    }

    /// Returns patterns that every key of the deployment matches, and no key of another one. The
    /// heartbeats are left out: they end with their nodes.
    pub fn patterns(&self) -> [String; 2] {
        [format!("{}:{{p*", self.prefix), format!("{}:ingress:*", self.prefix)]
    }

    /// Returns the key of the name of the deployment.
    pub fn deployment(&self) -> String {
        format!("{}:ingress:deployment", self.prefix)
    }

    /// Returns the key of the mark of an import that has not ended.
    pub fn importing(&self) -> String {
        format!("{}:ingress:importing", self.prefix)
    }

    /// Returns a key of this deployment under other keys, `None` if it is not one of this
    /// deployment.
    pub fn moved(&self, key: &str, to: &Self) -> Option<String> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix(':')?;
        Some(format!("{}:{rest}", to.prefix))
    }

    fn of_partition(&self, partition: PartitionId, what: &str) -> String {
        format!("{}:{{p{partition}}}:{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests;
