//! `thicket status`: partitions with their positions and lag, detectors, the ledger, and what was
//! lost.
//!
//! `report` asks PostgreSQL, Redis and the engine. `print` shows the answers to people.

mod print;
mod report;

use std::process::ExitCode;

use anyhow::Context as _;
use thicket_store::postgres::connect_postgres;
use thicket_store::redis::try_connect_redis;

use crate::config::Config;
use crate::output::Format;
use report::Status;

/// Prints the state of the deployment.
pub(crate) async fn status(config: &Config, format: Format) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let redis = try_connect_redis(&config.redis.url)
        .await
        .context("redis does not answer: start it or set redis.url")?;
    let status = Status::read(config, &mut postgres, &redis).await?;
    if format.json {
        println!("{}", serde_json::to_string(&status)?);
    } else {
        print::print(&status);
    }
    Ok(if status.is_balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
