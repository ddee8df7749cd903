//! The version and the settings of a Redis server.

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, ConfigInterface as _};
use fred::types::InfoKind;

use super::RedisError;

/// The memory of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisMemory {
    /// Bytes in use.
    pub used: u64,
    /// `maxmemory` in bytes; 0 means without a limit.
    pub limit: u64,
}

/// Returns the memory of the server. Also shows that the server answers.
pub async fn redis_memory(redis: &Client) -> Result<RedisMemory, RedisError> {
    let info: String = redis.info(Some(InfoKind::Memory)).await?;
    let number = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
    };
    Ok(RedisMemory { used: number("used_memory"), limit: number("maxmemory") })
}

/// Returns the server's version, `None` if the server does not tell it.
pub async fn server_version(redis: &Client) -> Result<Option<String>, RedisError> {
    let info: String = redis.info(None).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.map(|version| version.trim().to_owned()))
}

/// Returns a setting of the server; an empty text if there is no such setting.
pub async fn setting(redis: &Client, name: &str) -> Result<String, RedisError> {
    let found: Vec<String> = redis.config_get(name).await?;
    Ok(found.into_iter().nth(1).unwrap_or_default())
}

/// Closes a connection. An error is ignored: the server closes the connection as well.
pub async fn disconnect(redis: &Client) {
    drop(redis.quit().await);
}
