//! The names of all keys in Redis. No other code formats a key.
//!
//! A partition's keys share the hash tag `{p07}`, so that a Redis Cluster keeps them in one slot and spreads the
//! partitions.
//!
//! | key | type | what |
//! |---|---|---|
//! | `thicket:{p07}:log` | stream | the partition's entries |
//! | `thicket:{p07}:writer` | hash | the producer that may append, and the sequence number of its last entry |
//! | `thicket:{p07}:lease` | string | the node that owns the partition |
//! | `thicket:{p07}:crash_suspect` | hash | what the owner was about to apply, written after an owner that crashed |
//! | `thicket:{p07}:checkpoint:<sensor>` | hash | a detector's [checkpoint](crate::Checkpoint) |
//! | `thicket:ingress:<client id>:ingress_epoch` | string | the epoch of the newest holder of the MQTT subscription |
//! | `thicket:ingress:<client id>:lease` | string | the node that holds the MQTT subscription |

use crate::ids::{PartitionId, SensorName};
use crate::text::excerpt;

/// A prefix that would break the keys made with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key prefix {0:?} cannot be used; write letters, digits, `_`, `-`, `.` and `:`, without braces")]
pub struct KeyPrefixError(String);

/// The key of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey(pub String);

/// The key of the counter that numbers the holders of an MQTT subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKey(pub String);

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

    /// The partition's stream of entries.
    pub fn log(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "log")
    }

    /// The producer that may append to the partition, and the sequence number of its last entry.
    pub fn writer(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "writer")
    }

    /// The lease of the node that owns the partition.
    pub fn lease(&self, partition: PartitionId) -> LeaseKey {
        LeaseKey(self.of_partition(partition, "lease"))
    }

    /// What the partition's owner was about to apply.
    pub fn crash_suspect(&self, partition: PartitionId) -> String {
        self.of_partition(partition, "crash_suspect")
    }

    /// The state of a sensor's detector. The partition is that of the sensor.
    pub fn checkpoint(&self, partition: PartitionId, sensor: &SensorName) -> String {
        format!("{}:{{p{partition}}}:checkpoint:{sensor}", self.prefix)
    }

    /// The lease of the node that holds the MQTT subscription of a client id.
    pub fn ingress_lease(&self, client_id: &str) -> LeaseKey {
        LeaseKey(format!("{}:ingress:{client_id}:lease", self.prefix))
    }

    /// The epoch of the newest holder of a subscription.
    pub fn ingress_epoch(&self, client_id: &str) -> EpochKey {
        EpochKey(format!("{}:ingress:{client_id}:ingress_epoch", self.prefix))
    }

    fn of_partition(&self, partition: PartitionId, what: &str) -> String {
        format!("{}:{{p{partition}}}:{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests;
