//! The connections of commands to the stores. Their errors say what to do.

use anyhow::Context as _;
use thicket_store::postgres::{PostgresConnection, connect_postgres};
use thicket_store::redis::{Client, try_connect_redis};

use crate::config::Config;

/// The context of a failed query that is a command's first: usually the tables are missing.
pub(crate) const TABLES_MISSING: &str =
    "the tables cannot be read; if they are missing or out of date, run `thicket migrate`";

/// Connects to PostgreSQL.
pub(crate) async fn postgres(config: &Config) -> anyhow::Result<PostgresConnection> {
    connect_postgres(config.postgres.server())
        .await
        .context("postgresql does not answer; start it or set postgres.url")
}

/// Connects to Redis.
pub(crate) async fn redis(config: &Config) -> anyhow::Result<Client> {
    try_connect_redis(config.redis.server()).await.context("redis does not answer; start it or set redis.url")
}
