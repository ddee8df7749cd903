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

use thicket_schema::Keys;

use crate::config::Config;
use crate::stores;
use args::ReconcileArgs;
use checks::check;
use redis::RedisState;
use snapshot::Snapshot;

/// Runs `thicket reconcile`.
pub(crate) async fn reconcile(config: &Config, args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    let redis = stores::redis(config).await?;
    stores::refuse_other_deployment(config, &redis, &mut postgres).await?;
    let keys = Keys::new(&config.redis.prefix)?;
    let snapshot = Snapshot::read(&mut postgres, args.since).await?;
    let redis_state = RedisState::read(&redis, &keys, &mut postgres, &snapshot).await?;
    let report = check(&snapshot, &redis_state);
    args.format.print(&report, print::print)?;
    Ok(if report.balances { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
