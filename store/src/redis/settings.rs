//! The version and the settings of a Redis server.

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, ConfigInterface as _};

use super::RedisError;

/// Checks that the server answers on a connection, and accepts commands.
pub async fn ping_redis(redis: &Client) -> Result<(), RedisError> {
    redis.ping(None).await
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
