//! The append protocol of one partition: (nonce, generation, n) is accepted only if both are current and n = last + 1, so that a
//! retry after a lost reply neither doubles nor reorders.

use bytes::Bytes;
use fred::clients::Client;
use fred::types::Value;
use fred::types::scripts::Script;
use thicket_schema::{Entry, Keys, PartitionId, Position};

use super::RedisError;
use crate::faults;
use crate::protocol::log::{self, Appended};

/// What the log said to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The entry is in the log, now or since an earlier try.
    Appended,
    /// The log is at its bound; try again later.
    Full,
    /// Another writer has taken the log over.
    Fenced,
    /// Redis does not know this writer any more, or not in this generation, or fewer of its entries than it acknowledged: the log was lost.
    Lost,
}

/// An append that reached no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Redis is away or refused the command. The append may or may not have happened: try it again as it is.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    /// A later holder of the subscription writes this log. Trying again does not help.
    #[error("a later ingress writes this log")]
    Outlived,
    /// Redis answered with something that the script never says.
    #[error("unexpected reply of the append script: {0}")]
    UnexpectedReply(String),
}

/// The writing end of one partition's log.
#[derive(Debug)]
pub struct LogAppender {
    partition: PartitionId,
    nonce: String,
    generation: u64,
    /// The number of the last entry that is known to be in the log.
    n: u64,
    predecessor: Position,
    append: Script,
}

impl LogAppender {
    /// Takes over the writing end of a partition's log and opens a new generation of it.
    ///
    /// `earliest` is the generation's least number: the wall clock in ms, or more where a later one is known. `acknowledged` is the newest
    /// place that this writer knows to have been in the log, which Redis may have lost: the next entry names it as its predecessor, so
    /// that a reader that has not come so far notices. `tenure` numbers the holders of the subscription: a log that a later one has opened stays
    /// closed to this one ([`AppendError::Outlived`]).
    pub async fn open(
        redis: &Client,
        keys: &Keys,
        partition: PartitionId,
        nonce: &str,
        (earliest, tenure): (u64, u64),
        acknowledged: Position,
    ) -> Result<Self, AppendError> {
        let open = Script::from_lua(include_str!("open.lua"));
        let script_keys = vec![keys.log(partition), keys.writer(partition)];
        let arguments = vec![nonce.to_owned(), earliest.to_string(), tenure.to_string()];
        let (generation, last): (u64, String) =
            open.evalsha_with_reload(redis, script_keys, arguments).await?;
        if last == "fenced" {
            return Err(AppendError::Outlived);
        }
        let last: Position = last.parse().map_err(|_| AppendError::UnexpectedReply(last))?;
        if last < acknowledged {
            tracing::error!(%partition, %last, %acknowledged, "redis lost entries that it had acknowledged: those after the last, up to the acknowledged");
        }
        let predecessor = log::predecessor(last, acknowledged);
        let append = Script::from_lua(include_str!("append.lua"));
        Ok(Self { partition, nonce: nonce.to_owned(), generation, n: 0, predecessor, append })
    }

    /// The bytes of the next entry, which names its predecessor.
    pub fn pack(&self, entry: &mut Entry) -> Bytes {
        entry.predecessor = self.predecessor;
        entry.encode().into()
    }

    /// Appends the next entry. On `Err`, `Full` and nothing else, call again with the same bytes.
    pub async fn append(
        &mut self,
        redis: &Client,
        keys: &Keys,
        entry: &Bytes,
        bound: u64,
    ) -> Result<AppendOutcome, AppendError> {
        let n = if faults::keeps("rule.append_once") {
            self.n + 1
        } else {
            self.stored_n(redis, keys).await? + 1
        };
        let script_keys = vec![keys.log(self.partition), keys.writer(self.partition)];
        let arguments: Vec<Value> = vec![
            self.nonce.as_str().into(),
            n.to_string().into(),
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
                self.n = n;
                self.predecessor = Position { generation: self.generation, n };
                Ok(AppendOutcome::Appended)
            }
            Some(Appended::Full) => Ok(AppendOutcome::Full),
            Some(Appended::Fenced) => Ok(AppendOutcome::Fenced),
            Some(Appended::Lost) => Ok(AppendOutcome::Lost),
            None => Err(AppendError::UnexpectedReply(reply)),
        }
    }

    /// How many entries of this writer the log holds, by its own word: only to break a rule with.
    async fn stored_n(&self, redis: &Client, keys: &Keys) -> Result<u64, AppendError> {
        use fred::interfaces::HashesInterface as _;
        let n: Option<u64> = redis.hget(keys.writer(self.partition), "n").await?;
        Ok(n.unwrap_or(self.n))
    }

    /// The place of the last entry that is known to be in the log.
    pub const fn last(&self) -> Position {
        self.predecessor
    }
}
