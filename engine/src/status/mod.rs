//! `thicket status`: partitions with their positions and lag, detectors, the ledger, and what was
//! lost.
//!
//! `report` asks PostgreSQL, Redis and the engine. `print` shows the answers to people.

mod print;
mod report;

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::config::Config;
use crate::output::Format;
use crate::scrape;
use crate::stores;
use report::{EngineStatus, Status, StoresStatus};

/// The arguments of `thicket status`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show every partition, not only those that have no owner or lag behind.
    #[arg(long)]
    partitions: bool,
    #[command(flatten)]
    format: Format,
}

/// Prints the state of the deployment.
pub(crate) async fn status(config: &Config, args: StatusArgs) -> anyhow::Result<ExitCode> {
    let (postgres, redis) = tokio::join!(stores::postgres(config), stores::redis(config));
    let (mut postgres, redis) = match (postgres, redis) {
        (Err(postgres), Err(redis)) => bail!("{postgres:#}; {redis:#}"),
        (postgres, redis) => (postgres?, redis?),
    };
    stores::refuse_other_deployment(config, &redis, &mut postgres).await?;
    let http = config.http.clone();
    let scrape = tokio::spawn(async move { scrape::scrape(&http).await });
    let stores = Box::pin(StoresStatus::read(config, &mut postgres, &redis)).await?;
    let code = if stores.is_balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    // People see what the stores report, whatever the engine does.
    if !args.format.json {
        print::print_stores(&stores);
    }
    let engine = EngineStatus::of(scrape.await?.ok().as_ref());
    let status = Status { stores, engine };
    args.format.print(&status, |status| {
        print::print_engine(&status.engine);
        print::print_partitions(&status.stores.partitions, args.partitions);
    })?;
    Ok(code)
}
