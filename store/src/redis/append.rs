//! Appends to the log of a partition. This is Kafka's idempotent producer: Redis accepts an entry
//! only if its producer and generation are current, and its sequence number is the last one plus 1.
//! So a retry after a lost reply neither duplicates nor reorders entries.

#[cfg(feature = "faults")]
mod broken;

use bytes::Bytes;
use fred::clients::Client;
use fred::types::Value;
use fred::types::scripts::Script;
use thicket_schema::{Entry, Keys, PartitionId, Position};

use super::connection::{RedisError, is_out_of_memory};
use crate::faults;
use thicket_protocol::log::{self, Appended};

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The entry is in the log, from this try or an earlier one.
    Appended,
    /// The log is full. Retry later.
    Full,
    /// Another writer has taken over the log.
    Fenced,
    /// Redis has lost this writer, its generation, or entries that it had acknowledged.
    Lost,
}

/// Why an append, or the opening of a log, has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Redis does not answer, or refused the command. The entry may be in the log: retry with the
    /// same bytes.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    /// A later ingress writes this log. A retry does not help.
    #[error("a later ingress writes this log")]
    Fenced,
    /// Redis gave a reply that the script never returns.
    #[error("unexpected reply of the append script: {0}")]
    UnexpectedReply(String),
}

impl AppendError {
    /// Whether Redis refused the command because it has no memory left.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Redis(error) if is_out_of_memory(error))
    }
}

/// How a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The least allowed generation: the wall clock in ms, or more if a later generation is known.
    pub earliest: u64,
    /// The epoch of this ingress. It is greater than the epoch of every earlier holder of the
    /// subscription.
    pub ingress_epoch: u64,
    /// The newest position that Redis has acknowledged to this process. Redis may have lost it. The
    /// next entry names it as its predecessor, so that readers notice the loss.
    pub acknowledged: Position,
}

/// Appends entries to the log of one partition.
#[derive(Debug)]
pub struct LogAppender {
    partition: PartitionId,
    producer: String,
    generation: u64,
    /// The sequence number of the last entry that is known to be in the log.
    sequence: u64,
    predecessor: Position,
    append: Script,
}

impl LogAppender {
    /// Opens a new generation of a partition's log, and fences every earlier writer.
    ///
    /// # Errors
    /// Returns [`AppendError::Fenced`] if a later ingress has opened the log.
    pub async fn open(
        redis: &Client,
        keys: &Keys,
        partition: PartitionId,
        producer: &str,
        opening: Opening,
    ) -> Result<Self, AppendError> {
        let Opening { earliest, ingress_epoch, acknowledged } = opening;
        let open = Script::from_lua(include_str!("open.lua"));
        let script_keys = vec![keys.log(partition), keys.writer(partition)];
        let arguments = vec![producer.to_owned(), earliest.to_string(), ingress_epoch.to_string()];
        let (generation, last): (u64, String) =
            open.evalsha_with_reload(redis, script_keys, arguments).await?;
        if last == "fenced" {
            return Err(AppendError::Fenced);
        }
        let last: Position = last.parse().map_err(|_| AppendError::UnexpectedReply(last))?;
        if last < acknowledged {
            tracing::error!(%partition, %last, %acknowledged, "redis lost entries that it had acknowledged: the entries after the last one, up to the acknowledged one");
        }
        let predecessor = log::predecessor(last, acknowledged);
        let append = Script::from_lua(include_str!("append.lua"));
        Ok(Self { partition, producer: producer.to_owned(), generation, sequence: 0, predecessor, append })
    }

    /// Sets the predecessor of the next entry, and returns its bytes.
    pub fn pack(&self, entry: &mut Entry) -> Bytes {
        entry.predecessor = self.predecessor;
        entry.encode().into()
    }

    /// Appends the next entry, unless the log has `bound` entries. After an error or
    /// [`AppendOutcome::Full`], call it again with the same bytes.
    pub async fn append(
        &mut self,
        redis: &Client,
        keys: &Keys,
        entry: &Bytes,
        bound: u64,
    ) -> Result<AppendOutcome, AppendError> {
        #[cfg(feature = "faults")]
        let sequence = broken::next_sequence(redis, keys.writer(self.partition), self.sequence).await?;
        #[cfg(not(feature = "faults"))]
        let sequence = self.sequence + 1;
        let script_keys = vec![keys.log(self.partition), keys.writer(self.partition)];
        let arguments: Vec<Value> = vec![
            self.producer.as_str().into(),
            sequence.to_string().into(),
            Value::Bytes(entry.clone()),
            bound.to_string().into(),
            self.generation.to_string().into(),
        ];
        faults::pass("append.before");
        let reply: String = self.append.evalsha_with_reload(redis, script_keys, arguments).await?;
        if faults::fails("append.lost") {
            return Err(AppendError::UnexpectedReply("a reply that a test took away".to_owned()));
        }
        faults::pass("append.after");
        match Appended::from_name(&reply) {
            Some(Appended::Now | Appended::Before) => {
                self.sequence = sequence;
                self.predecessor = Position { generation: self.generation, n: sequence };
                Ok(AppendOutcome::Appended)
            }
            Some(Appended::Full) => Ok(AppendOutcome::Full),
            Some(Appended::Fenced) => Ok(AppendOutcome::Fenced),
            Some(Appended::Lost) => Ok(AppendOutcome::Lost),
            None => Err(AppendError::UnexpectedReply(reply)),
        }
    }

    /// Returns the position of the last entry that is known to be in the log.
    pub const fn last(&self) -> Position {
        self.predecessor
    }
}
