//! Connections to Redis. The client library does not retry commands: the callers retry, and a retry
//! of an append keeps its sequence number.

use std::time::Duration;

use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::config::ReconnectPolicy;
use fred::types::{Builder, InfoKind};
use socket2::TcpKeepalive;
use thicket_connect::{refusal, with_advice};

use super::server::RedisServer;
use crate::complaints;
use crate::retry::until_ok;

/// An error of Redis, or of the connection to it.
pub type RedisError = fred::error::Error;

/// Whether Redis refused a write because it uses `maxmemory` bytes.
pub fn is_out_of_memory(error: &RedisError) -> bool {
    // The code of the reply, which every version and language has.
    error.details().starts_with("OOM ")
}

/// Whether a command may succeed if it is sent again: Redis was not reached, or is not ready. All
/// other errors are answers that stay the same.
pub fn is_passing(error: &RedisError) -> bool {
    use fred::error::ErrorKind as Kind;
    let is_not_ready = ["LOADING ", "READONLY ", "MASTERDOWN ", "TRYAGAIN "]
        .iter()
        .any(|code| error.details().starts_with(code));
    let is_answer = matches!(
        error.kind(),
        Kind::InvalidCommand
            | Kind::InvalidArgument
            | Kind::Url
            | Kind::Config
            | Kind::Protocol
            | Kind::Unknown
            | Kind::Parse
            | Kind::NotFound
    );
    is_not_ready || !is_answer
}

const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection whose host has vanished ends within half a minute: see the same values for
/// PostgreSQL.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a server is asked for its role, which is also a sign of life.
const QUESTION_INTERVAL: Duration = Duration::from_secs(5);
/// Bounds of the wait between two tries to reconnect.
const RETRY_MIN_MS: u32 = 100;
const RETRY_MAX_MS: u32 = 2_000;

/// Connects to Redis. Afterwards the client reconnects by itself, without end. Each connection with
/// TLS reads the certificates again.
///
/// # Errors
/// Returns an error that says what to do if the first connection fails.
pub async fn try_connect_redis(server: impl Into<RedisServer>) -> Result<Client, RedisError> {
    let server = server.into();
    let config =
        server.client_config().map_err(|error| RedisError::new(ErrorKind::Config, error.to_string()))?;
    let mut builder = Builder::from_config(config);
    builder
        .with_connection_config(|connection| {
            connection.max_command_attempts = 1;
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = COMMAND_TIMEOUT;
            connection.tcp.nodelay = Some(true);
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
            connection.tcp.keepalive = Some(keepalive.with_retries(KEEPALIVE_RETRIES));
            connection.tcp.user_timeout = Some(TCP_USER_TIMEOUT);
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT)
        .set_policy(ReconnectPolicy::new_exponential(0, RETRY_MIN_MS, RETRY_MAX_MS, 2));
    let client = builder.build()?;
    let connected = client.init().await;
    connected.map_err(|error| {
        let words = match error.details() {
            details if details.contains("Decode Error") => NOT_REDIS.to_owned(),
            details => with_advice(details, server.expected()),
        };
        RedisError::new(error.kind().clone(), words)
    })?;
    Ok(client)
}

/// An answer that is none of Redis' protocol.
const NOT_REDIS: &str = "something answers there that is not Redis";

/// Connects to Redis. Retries until Redis answers, and logs each failure.
pub async fn connect_redis(server: impl Into<RedisServer>) -> Client {
    let server = server.into();
    let warn = |error: &RedisError| {
        if let Some(repeated) = complaints::due("connect to redis", error) {
            tracing::warn!(%error, %server, repeated, "redis does not answer; retrying (start it, or set redis.url)");
        }
    };
    let client = until_ok(async || try_connect_redis(&server).await, warn).await;
    warn_of_refused_certificates(&client);
    tokio::spawn(replace_useless_connections(client.clone()));
    client
}

/// Replaces the connection if Redis does not answer on it, or has become a replica.
///
/// The kernel notices a host that has vanished, but not a network device that keeps a connection
/// open and forwards no byte. After a failover, the address may lead to another server, while the
/// server of this connection stays alive as a replica, which refuses each write.
async fn replace_useless_connections(client: Client) {
    loop {
        tokio::time::sleep(QUESTION_INTERVAL).await;
        let reason = match is_read_only_replica(&client).await {
            Ok(true) => "redis is a replica, which refuses writes".to_owned(),
            Err(error) => match error.kind() {
                ErrorKind::Timeout => format!("redis has not answered for {} s", COMMAND_TIMEOUT.as_secs()),
                // The client is closed.
                ErrorKind::Canceled => return,
                _ => continue,
            },
            Ok(false) => continue,
        };
        if let Some(repeated) = complaints::due("ask redis for its role", &reason) {
            tracing::warn!(repeated, "{reason}; connecting again");
        }
        // An error means that a later try connects.
        let _ = client.force_reconnection().await;
    }
}

/// Whether the server is a replica that refuses writes: `READONLY`.
pub async fn is_read_only_replica(redis: &Client) -> Result<bool, RedisError> {
    let info: String = redis.info(Some(InfoKind::Replication)).await?;
    let says = |line: &str| info.lines().any(|said| said.trim_end() == line);
    Ok(says("role:slave") && says("slave_read_only:1"))
}

/// Logs why a certificate is refused when the client reconnects. The commands that fail meanwhile
/// report only that there is no connection.
fn warn_of_refused_certificates(client: &Client) {
    client.on_error(|(error, _)| async move {
        if let Some(refusal) = refusal(error.details())
            && complaints::due("reconnect to redis", &refusal).is_some()
        {
            tracing::warn!(error = refusal, "no connection to redis; retrying");
        }
        Ok(())
    });
}

/// Creates a client that never connects, for tests that must not reach Redis.
///
/// # Errors
/// Fails if the library refuses its own defaults.
pub fn unconnected_redis() -> Result<Client, RedisError> {
    Builder::default_centralized().build()
}
