//! Reads the logs of a shard's partitions from their positions. It uses no consumer groups: the
//! position that PostgreSQL committed gives order and replay.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::StreamsInterface as _;
use fred::types::Value;
use fred::types::streams::XCap;
use thicket_schema::{Keys, PartitionId, Position};

use super::RedisError;
use crate::faults;
use thicket_protocol::log::keep_from;

/// One entry of a partition's log, not decoded yet.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its position.
    pub position: Position,
    /// Its encoded records.
    pub bytes: Bytes,
}

/// Reads, trims and measures logs. A read blocks its connection, so each shard has its own
/// connection for reads.
#[derive(Clone, Debug)]
pub struct LogReader {
    blocking: Client,
    redis: Client,
    keys: Keys,
}

/// The id of each entry, and the entry's fields by name.
type RawEntries = Vec<(String, std::collections::HashMap<String, Bytes>)>;

impl LogReader {
    /// Creates a reader. `blocking` serves reads that wait, `redis` all other commands.
    pub const fn new(blocking: Client, redis: Client, keys: Keys) -> Self {
        Self { blocking, redis, keys }
    }

    /// Returns the entries after each position, at most `count` per partition. Waits up to
    /// `timeout` if there are none. The result has the order of `positions`, without partitions
    /// that have no entries.
    pub async fn read(
        &self,
        positions: &[(PartitionId, Position)],
        count: u64,
        timeout: Duration,
    ) -> Result<Vec<(PartitionId, Vec<LogEntry>)>, RedisError> {
        let logs: Vec<String> = positions.iter().map(|&(partition, _)| self.keys.log(partition)).collect();
        let after: Vec<String> = positions.iter().map(|(_, position)| position.to_string()).collect();
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        faults::pass("read.before");
        let reply: Value = self.blocking.xread(Some(count), Some(timeout_ms), logs.clone(), after).await?;
        if reply.is_null() {
            return Ok(Vec::new());
        }
        let mut streams: std::collections::HashMap<String, RawEntries> =
            reply.into_xread_response::<String, String, String, Bytes>()?;
        faults::pass("read.after");
        let mut answer = Vec::new();
        for (log, &(partition, _)) in logs.iter().zip(positions) {
            if let Some(entries) = streams.remove(log) {
                answer.push((partition, entries.into_iter().filter_map(log_entry).collect()));
            }
        }
        Ok(answer)
    }

    /// Deletes the entries up to and including the committed position. Returns the number of
    /// remaining entries.
    pub async fn trim(&self, partition: PartitionId, committed: Position) -> Result<u64, RedisError> {
        let log = self.keys.log(partition);
        let pipeline = self.redis.pipeline();
        if let Some(keep_from) = keep_from(committed) {
            faults::pass("trim.before");
            let keep_from = XCap::try_from(("MINID", "=", keep_from.to_string()))?;
            let () = pipeline.xtrim(log.clone(), keep_from).await?;
        }
        let () = pipeline.xlen(log).await?;
        let mut replies: Vec<u64> = pipeline.all().await?;
        faults::pass("trim.after");
        Ok(replies.pop().unwrap_or(0))
    }

    /// Returns the number of entries after the committed position. It is exact up to `COUNT_UP_TO`.
    /// Beyond that, it is the length of the log, which includes committed entries that are not
    /// trimmed yet.
    pub async fn lag(&self, partition: PartitionId, committed: Position) -> Result<u64, RedisError> {
        const COUNT_UP_TO: u64 = 1_000;
        let log = self.keys.log(partition);
        let after: Value =
            self.redis.xrange(log.clone(), format!("({committed}"), "+", Some(COUNT_UP_TO)).await?;
        let counted = after.into_array().len() as u64;
        if counted < COUNT_UP_TO { Ok(counted) } else { self.redis.xlen(log).await }
    }

    /// Returns the position of the newest entry that was ever appended; `None` if there is no log.
    pub async fn newest(&self, partition: PartitionId) -> Result<Option<Position>, RedisError> {
        use fred::interfaces::KeysInterface as _;
        let log = self.keys.log(partition);
        let exists: bool = self.redis.exists(log.clone()).await?;
        if !exists {
            return Ok(None);
        }
        let info: std::collections::HashMap<String, Value> =
            self.redis.xinfo_stream(log, false, None).await?;
        Ok(info.get("last-generated-id").and_then(Value::as_string).and_then(|id| id.parse().ok()))
    }
}

/// Returns `None` for an entry that the append script cannot have written: its id is not a
/// position, or its field is missing. The shard notices the gap when it checks predecessors.
fn log_entry((id, mut fields): (String, std::collections::HashMap<String, Bytes>)) -> Option<LogEntry> {
    Some(LogEntry { position: id.parse().ok()?, bytes: fields.remove("e")? })
}
