//! The connections of commands to the stores. Their errors name the address and the cause, and say
//! what to do.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use thicket_connect::{Expected, with_advice};
use thicket_store::postgres::{PostgresConnection, connect_postgres};
use thicket_store::redis::{Client, try_connect_redis};

use crate::config::Config;

/// The context of a failed query that is a command's first: usually the tables are missing.
pub(crate) const TABLES_MISSING: &str =
    "the tables cannot be read; if they are missing or out of date, run `thicket migrate`";

/// How long a server may take to accept a connection.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// Connects to PostgreSQL.
pub(crate) async fn postgres(config: &Config) -> anyhow::Result<PostgresConnection> {
    let server = config.postgres.server();
    let what =
        format!("postgresql at {server} does not accept the connection; start it, or set postgres.url");
    let is_tls = server.verification().ok().flatten().is_some();
    match tokio::time::timeout(CONNECT_LIMIT, connect_postgres(&server)).await {
        Ok(connected) => connected.context(what),
        Err(_) => Err(silent(is_tls)).context(what),
    }
}

/// Connects to Redis.
pub(crate) async fn redis(config: &Config) -> anyhow::Result<Client> {
    let server = config.redis.server();
    let what = format!("redis at {server} does not accept the connection; start it, or set redis.url");
    let is_tls = server.verification().is_some();
    match tokio::time::timeout(CONNECT_LIMIT, try_connect_redis(&server)).await {
        Ok(connected) => connected.context(what),
        Err(_) => Err(silent(is_tls)).context(what),
    }
}

/// Returns the error of a server that does not answer within [`CONNECT_LIMIT`].
pub(crate) fn silent(is_tls: bool) -> anyhow::Error {
    let expected = if is_tls { Expected::Tls } else { Expected::Plain };
    let seconds = CONNECT_LIMIT.as_secs();
    anyhow!(with_advice(&format!("no answer within {seconds} s: timed out"), expected))
}
