//! Crash suspects: the entries that the owner of a partition is about to apply. The owner records
//! them first. If the process then crashes, the next owner knows which entries may be the cause.

use fred::clients::Client;
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use fred::types::scripts::Script;
use thicket_schema::{Keys, PartitionId, Position, RecordPosition};

use super::{NodeName, RedisError};

/// Replaces the record. Runs also if Redis is short of memory: a commit waits for it, and the
/// commit lets Redis free memory.
const RECORD: &str = "#!lua flags=allow-oom
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1";

/// Says of the reading that this node has recorded last that it did not kill the process.
const WITHDRAW: &str = "#!lua flags=allow-oom
local by, at = unpack(redis.call('HMGET', KEYS[1], 'by', 'at'))
if by ~= ARGV[1] or not at then return 0 end
redis.call('HSET', KEYS[1], 'withdrawn', '1')
return 1";

/// The entries that an owner was about to apply when its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// All entries after `after`, up to and including `to`.
    Range {
        /// The last entry that is not suspected.
        after: Position,
        /// The last suspected entry.
        to: Position,
    },
    /// One reading of such a range.
    Reading {
        /// Its position.
        at: RecordPosition,
        /// The last entry of the range.
        to: Position,
        /// How many processes have died while they applied it.
        deaths: u32,
    },
}

/// Reads and writes the crash suspects of partitions.
#[derive(Clone, Debug)]
pub struct Suspects {
    redis: Client,
    keys: Keys,
    node: NodeName,
    record: Script,
    withdraw: Script,
}

impl Suspects {
    /// Creates access to the records under the given keys, in the name of `node`.
    pub fn new(redis: Client, keys: Keys, node: NodeName) -> Self {
        let (record, withdraw) = (Script::from_lua(RECORD), Script::from_lua(WITHDRAW));
        Self { redis, keys, node, record, withdraw }
    }

    /// Returns the crash suspect of a partition, or `None` if its last owner recorded none. Counts
    /// the death of the last owner, unless it has withdrawn the record.
    pub async fn load(&self, partition: PartitionId) -> Result<Option<Suspect>, RedisError> {
        let key = self.keys.crash_suspect(partition);
        let fields: Vec<Option<String>> = self.redis.hmget(key, FIELDS.to_vec()).await?;
        Ok(parse(&fields, self.node.as_str()))
    }

    /// Records the entries that this node is about to apply.
    pub async fn record(&self, partition: PartitionId, suspect: Suspect) -> Result<(), RedisError> {
        let mut fields = match suspect {
            Suspect::Range { after, to } => {
                vec!["after".to_owned(), after.to_string(), "to".to_owned(), to.to_string()]
            }
            Suspect::Reading { at, to, deaths } => vec![
                "at".to_owned(),
                at.to_string(),
                "to".to_owned(),
                to.to_string(),
                "deaths".to_owned(),
                deaths.to_string(),
            ],
        };
        fields.extend(["by".to_owned(), self.node.to_string()]);
        let key = self.keys.crash_suspect(partition);
        let _: i64 = self.record.evalsha_with_reload(&self.redis, vec![key], fields).await?;
        Ok(())
    }

    /// Withdraws the reading that this node has recorded, if there is one: this process ends or
    /// loses the partition while it does not apply the reading. The next owner counts no death.
    pub async fn withdraw(&self, partition: PartitionId) -> Result<(), RedisError> {
        let key = self.keys.crash_suspect(partition);
        let by = vec![self.node.to_string()];
        let _: i64 = self.withdraw.evalsha_with_reload(&self.redis, vec![key], by).await?;
        Ok(())
    }

    /// Deletes the record.
    pub async fn clear(&self, partition: PartitionId) -> Result<(), RedisError> {
        self.redis.del(self.keys.crash_suspect(partition)).await
    }
}

/// The fields of a record.
const FIELDS: [&str; 6] = ["at", "after", "to", "deaths", "by", "withdrawn"];

/// Parses the [`FIELDS`] of a record. A record of `own`, the name of this node, counts no death: its
/// process is alive.
fn parse(fields: &[Option<String>], own: &str) -> Option<Suspect> {
    let [at, after, to, deaths, by, withdrawn] = fields else { return None };
    let died = by.as_deref() != Some(own) && withdrawn.is_none();
    let to = to.as_deref()?.parse().ok()?;
    match (at, after) {
        (Some(at), _) => {
            let deaths = deaths.as_deref()?.parse::<u32>().ok()? + u32::from(died);
            Some(Suspect::Reading { at: at.parse().ok()?, to, deaths })
        }
        (None, Some(after)) if died => Some(Suspect::Range { after: after.parse().ok()?, to }),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_of_another_process_counts_and_a_record_of_this_process_does_not() {
        let fields = |at: Option<&str>, after: Option<&str>, deaths: Option<&str>| {
            [at, after, Some("7-9"), deaths, Some("a"), None].map(|field| field.map(str::to_owned))
        };
        let (at, to) = ("7-8/3".parse().unwrap(), Position { generation: 7, n: 9 });
        let reading = fields(Some("7-8/3"), None, Some("1"));
        assert_eq!(parse(&reading, "b"), Some(Suspect::Reading { at, to, deaths: 2 }));
        assert_eq!(parse(&reading, "a"), Some(Suspect::Reading { at, to, deaths: 1 }));
        let withdrawn = {
            let mut fields = reading.clone();
            fields[5] = Some("1".to_owned());
            fields
        };
        assert_eq!(parse(&withdrawn, "b"), Some(Suspect::Reading { at, to, deaths: 1 }));
        let range = fields(None, Some("7-4"), None);
        let after = Position { generation: 7, n: 4 };
        assert_eq!(parse(&range, "b"), Some(Suspect::Range { after, to }));
        assert_eq!(parse(&range, "a"), None);
        assert_eq!(parse(&[const { None }; 6], "a"), None);
    }
}
