//! `thicket reconcile`: proves the ledger against the stores.
//!
//! - `snapshot`: the state of PostgreSQL at one moment. `progress`: the progress of its reading.
//! - `redis`: the state of Redis a moment later. A running engine may have continued meanwhile.
//! - `checks`: the checks between them. Pure. `print`: their results for people.

pub(crate) mod args;
mod checks;
mod print;
mod progress;
mod redis;
mod snapshot;

use std::process::ExitCode;

use anyhow::Context as _;
use thicket_schema::Keys;
use thicket_store::postgres::connect_postgres;
use thicket_store::redis::try_connect_redis;

use crate::config::Config;
use args::ReconcileArgs;
use checks::check;
use redis::RedisState;
use snapshot::Snapshot;

/// Runs `thicket reconcile`.
pub(crate) async fn reconcile(config: &Config, args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let redis = try_connect_redis(&config.redis.url)
        .await
        .context("redis does not answer: start it or set redis.url")?;
    let keys = Keys::new(&config.redis.prefix)?;
    let snapshot = Snapshot::read(&mut postgres, args.since).await?;
    let redis_state = RedisState::read(&redis, &keys, &mut postgres, &snapshot).await?;
    let report = check(&snapshot, &redis_state);
    if args.format.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print::print(&report);
    }
    Ok(if report.balances { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
