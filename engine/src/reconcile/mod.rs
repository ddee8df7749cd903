//! `thicket reconcile`: the ledger, proven against what the stores hold.
//!
//! - `snapshot`: what PostgreSQL held at one moment: `ledger` and letters, and, day by day, `rows`; `progress`: how far that is.
//! - `redis`: what Redis holds a moment later, when a running engine may be further on.
//! - `checks`: what must hold between them. Pure. `print`: what does and what does not.

mod checks;
mod ledger;
mod print;
mod progress;
mod redis;
mod rows;
mod snapshot;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use thicket_actors::queue::try_connect_redis;
use thicket_actors::writer::connect_postgres;
use thicket_schema::{Keys, Timestamp};

use crate::config::Config;
use crate::output::Format;
use crate::time_arg;
use checks::check;
use snapshot::Snapshot;

/// What to prove.
#[derive(Clone, Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ReconcileArgs {
    /// Look only at readings of then or later: RFC 3339, or how long ago, such as 2h or 7d. Rows are then not counted against the ledger, which
    /// knows no times.
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    since: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

/// What it does, for its help.
pub(crate) const ABOUT: &str = "Proves the ledger against the stores: every reading and dead letter that was delivered is where the ledger says it is.

Compares, for each partition, the rows of each kind with their counts, the dead letters with theirs, and the committed position with the end of the \
log; and for each sensor that the numbers of its scored readings have no gap and that its checkpoint is not ahead of its rows. Exits 1 if anything \
does not balance.";

const MORE: &str = "All of PostgreSQL is seen as of one moment, and Redis after it, so that a running engine raises no false alarm. Every row is read once, \
day by day, by one query at a time: some twenty million rows a minute. Days are not dropped by postgres.retention meanwhile.";

/// Runs `thicket reconcile`.
pub(crate) async fn reconcile(config: &Config, args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let redis = try_connect_redis(&config.redis.url)
        .await
        .context("redis does not answer: start it or set redis.url")?;
    let keys = Keys::new(&config.redis.prefix)?;
    let snapshot = Snapshot::take(&mut postgres, args.since).await?;
    let later = redis::look(&redis, &keys, &mut postgres, &snapshot).await?;
    let report = check(&snapshot, &later);
    if args.format.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print::print(&report);
    }
    Ok(if report.balances { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
