//! `thicket status`: partitions with their positions and lag, detectors, the ledger, and what was
//! lost.
//!
//! `report` asks PostgreSQL, Redis and the engine. `print` shows the answers to people.

mod print;
mod report;

use std::process::ExitCode;

use crate::config::Config;
use crate::output::Format;
use crate::stores;
use report::Status;

/// Prints the state of the deployment.
pub(crate) async fn status(config: &Config, format: Format) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    let redis = stores::redis(config).await?;
    let status = Status::read(config, &mut postgres, &redis).await?;
    format.print(&status, print::print)?;
    Ok(if status.is_balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
