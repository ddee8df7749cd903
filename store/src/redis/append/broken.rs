//! An append that breaks a rule on purpose: the crash tests must notice it. Never in a release.

use fred::clients::Client;
use fred::interfaces::HashesInterface as _;

use crate::faults;
use crate::redis::RedisError;

/// Returns the sequence number of the entry after entry `last`. If a test breaks the rule, the
/// number comes from Redis: then a retry after a lost reply appends the entry a second time.
///
/// `writer` is the key of the log's writer.
pub(super) async fn next_sequence(redis: &Client, writer: String, last: u64) -> Result<u64, RedisError> {
    if faults::keeps("rule.append_once") {
        return Ok(last + 1);
    }
    let stored: Option<u64> = redis.hget(writer, "sequence").await?;
    Ok(stored.unwrap_or(last) + 1)
}
