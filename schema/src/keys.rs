//! The names of all keys in Redis. Nothing else formats one.
//!
//! A partition's keys share the hash tag `{p07}`, so that a Redis Cluster keeps them in one slot and spreads the
//! partitions.
//!
//! | key | type | what |
//! |---|---|---|
//! | `thicket:{p07}:log` | stream | the partition's entries |
//! | `thicket:{p07}:writer` | hash | which ingress may append, and what it appended last |
//! | `thicket:{p07}:lease` | string | which node owns the partition, for the time being |
//! | `thicket:{p07}:suspect` | hash | what its owner was about to apply, after an owner that died |
//! | `thicket:{p07}:checkpoint:<sensor>` | string | a detector's [checkpoint](crate::Checkpoint) |
//! | `thicket:ingress:<client id>:tenure` | string | the number of the newest holder of that lease |
//! | `thicket:ingress:<client id>:lease` | string | which node holds an MQTT subscription |
//! | `thicket:meta` | hash | what the deployment fixed once and for all |

use crate::ids::{PartitionId, SensorName};
use crate::text::excerpt;

/// A prefix that would break the keys made with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key prefix {0:?} cannot be used; write letters, digits, `_`, `-`, `.` and `:`, without braces")]
pub struct KeyPrefixError(String);

/// Makes the keys of one deployment; several can share a Redis under different prefixes.
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
    /// Keys under a prefix. Braces are refused, as a hash tag in the prefix would put all partitions into one slot.
    pub fn new(prefix: &str) -> Result<Self, KeyPrefixError> {
        let usable = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if prefix.is_empty() || !prefix.chars().all(usable) {
            return Err(KeyPrefixError(excerpt(prefix)));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The partition's stream of entries.
    pub fn log(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "log")
    }

    /// Which ingress may append to the partition, and what it appended last.
    pub fn writer(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "writer")
    }

    /// Which node owns the partition.
    pub fn lease(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "lease")
    }

    /// What the partition's owner was about to apply.
    pub fn suspect(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "suspect")
    }

    /// The state of a sensor's detector. The partition is that of the sensor.
    pub fn checkpoint(&self, partition: PartitionId, sensor: &SensorName) -> String {
        format!("{}:{{p{partition}}}:checkpoint:{sensor}", self.prefix)
    }

    /// Which node holds the MQTT subscription of a client id.
    pub fn ingress_lease(&self, client_id: &str) -> String {
        format!("{}:ingress:{client_id}:lease", self.prefix)
    }

    /// The number of the newest holder of a subscription.
    pub fn ingress_tenure(&self, client_id: &str) -> String {
        format!("{}:ingress:{client_id}:tenure", self.prefix)
    }

    /// What the deployment fixed once and for all, such as the number of partitions.
    pub fn meta(&self) -> String {
        format!("{}:meta", self.prefix)
    }

    fn of_partition(&self, partition: PartitionId, what: &str) -> String {
        format!("{}:{{p{partition}}}:{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests;
