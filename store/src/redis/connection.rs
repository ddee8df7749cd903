//! Connections to Redis. The client library does not retry commands: the callers of the scripts
//! decide what to retry, and with which sequence number.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::Builder;
use fred::types::config::{Config, ReconnectPolicy};

/// An error of Redis or of the connection to it.
pub type RedisError = fred::error::Error;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_MIN_MS: u32 = 100;
const RETRY_MAX_MS: u32 = 2_000;

/// Connects once. The connection then reconnects by itself, without a limit.
pub async fn try_connect_redis(url: &str) -> Result<Client, RedisError> {
    let mut builder = Builder::from_config(Config::from_url(url)?);
    builder
        .with_connection_config(|connection| {
            connection.max_command_attempts = 1;
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = COMMAND_TIMEOUT;
            connection.tcp.nodelay = Some(true);
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT)
        .set_policy(ReconnectPolicy::new_exponential(0, RETRY_MIN_MS, RETRY_MAX_MS, 2));
    let client = builder.build()?;
    client.init().await?;
    Ok(client)
}

/// Connects, waiting for Redis for as long as it takes and saying so.
pub async fn connect_redis(url: &str) -> Client {
    let mut pause = Duration::from_millis(u64::from(RETRY_MIN_MS));
    loop {
        match try_connect_redis(url).await {
            Ok(client) => return client,
            Err(error) => {
                tracing::warn!(%error, "redis does not answer; waiting for it (start it, or set redis.url)");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(u64::from(RETRY_MAX_MS)));
            }
        }
    }
}
