//! `thicket reconcile`: proves the ledger against the stores.
//!
//! - `snapshot`: the state of PostgreSQL at one moment. `progress`: the progress of its reading.
//! - `redis`: the state of Redis a moment later. A running engine may have continued meanwhile.
//! - `checks`: the checks between them. Pure. `print`: their results for people.

mod checks;
mod print;
mod progress;
mod redis;
mod snapshot;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use thicket_schema::{Keys, Timestamp};
use thicket_store::postgres::connect_postgres;
use thicket_store::redis::try_connect_redis;

use crate::config::Config;
use crate::output::Format;
use crate::time_arg;
use checks::check;
use redis::RedisState;
use snapshot::Snapshot;

/// The arguments of `thicket reconcile`.
#[derive(Clone, Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ReconcileArgs {
    /// Read only readings of this time or later: RFC 3339, or a duration before now, such as 2h or
    /// 7d. Rows are then not compared with the ledger, which has no times.
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    since: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

/// The long help of `thicket reconcile`.
pub(crate) const ABOUT: &str = "Proves the ledger against the stores: every delivered reading and dead letter is stored where the ledger says.

Compares, for each partition, the number of rows of each kind and of dead letters with the ledger, and the committed position with \
the end of the log. Checks, for each sensor, that the numbers of its scored readings have no gap, and that its checkpoint is not ahead \
of its rows. Exits 1 if a check fails.";

const MORE: &str = "PostgreSQL is read as of one moment, and Redis after it, so that a running engine causes no false alarm. Every row is read \
once, day by day, by one query at a time: about twenty million rows a minute. postgres.retention drops no day meanwhile.";

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
