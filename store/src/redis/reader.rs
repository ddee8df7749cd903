//! Reads the logs of partitions from given positions. There are no consumer groups: PostgreSQL
//! holds the committed position.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::StreamsInterface as _;
use fred::types::Value;
use fred::types::scripts::Script;
use futures_util::future::try_join_all;
use thicket_schema::{Entry, Keys, PartitionId, Position};

use super::RedisError;
use crate::faults;
use thicket_protocol::log::keep_from;

/// One entry of a partition's log, not decoded yet.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The position of the entry.
    pub position: Position,
    /// The encoded entry.
    pub bytes: Bytes,
}

/// Reads, trims and measures logs. A read blocks its connection, so each shard has its own
/// connection for reads.
#[derive(Clone, Debug)]
pub struct LogReader {
    blocking: Client,
    redis: Client,
    keys: Keys,
    trim: Script,
}

/// What a log is after its committed entries were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Number of entries that are left.
    pub left: u64,
    /// Whether the log ends before the committed position, and its writer has been made to open a
    /// generation after it.
    pub reopens: bool,
}

/// The entries of a stream: the id of each, and its fields by name.
type RawEntries = Vec<(String, std::collections::HashMap<String, Bytes>)>;

impl LogReader {
    /// Creates a reader that uses `blocking` for reads, and `redis` for all other commands.
    pub fn new(blocking: Client, redis: Client, keys: Keys) -> Self {
        Self { blocking, redis, keys, trim: Script::from_lua(include_str!("trim.lua")) }
    }

    /// Returns the entries after each position, at most `count` per partition, in the order of
    /// `positions`. Waits up to `timeout` if there are none. A partition without new entries is
    /// left out.
    pub async fn read(
        &self,
        positions: &[(PartitionId, Position)],
        count: u64,
        timeout: Duration,
    ) -> Result<Vec<(PartitionId, Vec<LogEntry>)>, RedisError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        faults::pass("read.before");
        let read = self.xread(&self.blocking, positions, count, Some(timeout_ms)).await?;
        if !read.is_empty() {
            faults::pass("read.after");
        }
        Ok(read)
    }

    /// Returns the entries after each position as [`read`](Self::read) does, but does not wait for
    /// entries. Redis ends the shortest wait only at its next tick, after up to 100 ms.
    pub(super) async fn read_now(
        &self,
        positions: &[(PartitionId, Position)],
        count: u64,
    ) -> Result<Vec<(PartitionId, Vec<LogEntry>)>, RedisError> {
        self.xread(&self.redis, positions, count, None).await
    }

    async fn xread(
        &self,
        redis: &Client,
        positions: &[(PartitionId, Position)],
        count: u64,
        timeout_ms: Option<u64>,
    ) -> Result<Vec<(PartitionId, Vec<LogEntry>)>, RedisError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let logs: Vec<String> = positions.iter().map(|&(partition, _)| self.keys.log(partition)).collect();
        let after: Vec<String> = positions.iter().map(|(_, position)| position.to_string()).collect();
        let reply: Value = redis.xread(Some(count), timeout_ms, logs, after).await?;
        if reply.is_null() {
            return Ok(Vec::new());
        }
        let mut streams: std::collections::HashMap<String, RawEntries> =
            reply.into_xread_response::<String, String, String, Bytes>()?;
        let mut answer = Vec::new();
        for &(partition, _) in positions {
            if let Some(entries) = streams.remove(&self.keys.log(partition)) {
                answer.push((partition, entries.into_iter().filter_map(log_entry).collect()));
            }
        }
        Ok(answer)
    }

    /// Deletes the entries up to and including the committed position. If the log ends before that
    /// position, its writer may have to open a new generation: see
    /// [`must_reopen`](thicket_protocol::log::must_reopen).
    pub async fn trim(&self, partition: PartitionId, committed: Position) -> Result<Trimmed, RedisError> {
        let Some(oldest_kept) = keep_from(committed) else {
            let left = self.redis.xlen(self.keys.log(partition)).await?;
            return Ok(Trimmed { left, reopens: false });
        };
        faults::pass("trim.before");
        let keys = vec![self.keys.log(partition), self.keys.writer(partition)];
        let Position { generation, n } = committed;
        let arguments = vec![generation.to_string(), n.to_string(), oldest_kept.to_string()];
        let (left, reopens) = self.trim.evalsha_with_reload(&self.redis, keys, arguments).await?;
        faults::pass("trim.after");
        Ok(Trimmed { left, reopens })
    }

    /// Returns when the oldest record after the committed position arrived, in µs since the Unix
    /// epoch. `None` if there is no entry after it, or if its first entry cannot be decoded.
    pub async fn oldest_received(
        &self,
        partition: PartitionId,
        committed: Position,
    ) -> Result<Option<i64>, RedisError> {
        let next = self.read_now(&[(partition, committed)], 1).await?;
        let entry = next.into_iter().flat_map(|(_, entries)| entries).next();
        let entry = entry.and_then(|entry| Entry::decode(&entry.bytes).ok());
        Ok(entry.and_then(|entry| entry.records.iter().map(|record| record.received).min()))
    }

    /// Returns the number of entries after each position, in the order of `positions`, with one round
    /// trip. Entries of a generation are numbered without gaps, so the number is exact if the newest
    /// entry is of the same generation as the position. Otherwise it is the length of the log, which
    /// may include committed entries that are not trimmed yet.
    pub async fn lags(&self, positions: &[(PartitionId, Position)]) -> Result<Vec<u64>, RedisError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = self.redis.pipeline();
        for &(partition, _) in positions {
            let log = self.keys.log(partition);
            let () = pipeline.xlen(log.clone()).await?;
            let () = pipeline.xrevrange(log, "+", "-", Some(1)).await?;
        }
        let replies: Vec<Value> = pipeline.all().await?;
        let pairs = positions.iter().zip(replies.chunks_exact(2));
        let lags = pairs.map(|(&(_, position), replies)| lag(position, &replies[0], &replies[1]));
        Ok(lags.collect())
    }

    /// Returns the position of the newest entry that each log ever held, in the order of
    /// `partitions`; `None` if there is no log.
    pub async fn newest_of(&self, partitions: &[PartitionId]) -> Result<Vec<Option<Position>>, RedisError> {
        try_join_all(partitions.iter().map(|&partition| self.newest(partition))).await
    }

    /// Returns the position of the newest entry that the log ever held, or `None` if there is no
    /// log.
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

/// Returns the number of entries after a position, by the length of the log and its newest entry.
fn lag(position: Position, length: &Value, newest: &Value) -> u64 {
    let length = length.as_u64().unwrap_or_default();
    let first_of = |array: &Value| array.clone().into_array().into_iter().next();
    let id = first_of(newest).and_then(|entry| first_of(&entry)?.as_string());
    let newest: Option<Position> = id.and_then(|id| id.parse().ok());
    match newest {
        Some(newest) if newest.generation == position.generation => newest.n.saturating_sub(position.n),
        _ => length,
    }
}

/// Returns an entry, or `None` if the id is no position or if the field is missing. The append
/// script writes no such entry. If there is one, the shard reports a gap before the next entry.
fn log_entry((id, mut fields): (String, std::collections::HashMap<String, Bytes>)) -> Option<LogEntry> {
    Some(LogEntry { position: id.parse().ok()?, bytes: fields.remove("e")? })
}
