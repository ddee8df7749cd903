//! An append that breaks a rule on purpose, to see whether the crash tests notice. Never in a release.

use fred::clients::Client;
use fred::interfaces::HashesInterface as _;
use thicket_schema::Keys;

use super::{AppendError, LogAppender};
use crate::faults;

/// The sequence number of the next entry. If a test breaks the rule, it is taken from Redis, so that a retry
/// after a lost reply appends the entry a second time.
pub(super) async fn next_sequence(
    appender: &LogAppender,
    redis: &Client,
    keys: &Keys,
) -> Result<u64, AppendError> {
    if faults::keeps("rule.append_once") {
        return Ok(appender.sequence + 1);
    }
    let stored: Option<u64> = redis.hget(keys.writer(appender.partition), "sequence").await?;
    Ok(stored.unwrap_or(appender.sequence) + 1)
}
