//! Runs one case: its actions one after the other, then an end that is the same for all cases.
//!
//! - `state`: the engines, the feeder and the findings of a case while it runs
//! - `actions`: what is done to engines and servers
//! - `outages`: what is done to disks, networks, clocks and memory
//! - `lamps`: what engines say meanwhile, and how long they take to recover
//! - `broker`: an outage of the broker
//! - `notifications`: what the receivers of notifications were told
//! - `progress`: waits that end when nothing happens any more
//! - `settle`: an engine without faults processes everything that is left; then everything is
//!   checked

mod actions;
mod activity;
mod broker;
mod lamps;
mod notifications;
mod outages;
mod progress;
mod settle;
mod state;

use std::path::Path;
use std::time::Duration;

pub(crate) use notifications::WEB_ROUTES;
use state::CaseRun;

use crate::case::Case;
use crate::environment::{Environment, Workspace};
use crate::outcome::Outcome;
use crate::traffic::Traffic;

/// The result of a case.
#[derive(Debug)]
pub(crate) struct Report {
    /// The stored result. `None` if the case did not come to its end.
    pub(crate) outcome: Option<Outcome>,
    /// What went wrong.
    pub(crate) complaints: Vec<String>,
    /// Actions of the engine that a rule forbids.
    pub(crate) findings: Vec<String>,
    /// Whether a fail point was not reached.
    pub(crate) unmet: bool,
    /// Remarks for the output.
    pub(crate) remarks: Vec<String>,
    /// The end of each engine's log.
    pub(crate) logs: String,
}

/// Runs a case. Fails only if the harness itself cannot go on.
pub(crate) async fn run_case(
    environment: &mut Environment,
    binary: &Path,
    case: &Case,
    traffic: &Traffic,
    timeout: Duration,
) -> anyhow::Result<(Report, Workspace)> {
    let workspace = environment.prepare(&case.name).await?;
    let mut run = CaseRun::start(environment, &workspace, binary, case, traffic, timeout);
    let ended = run_to_end(&mut run).await;
    let logs = run.logs();
    let mut complaints = std::mem::take(&mut run.complaints);
    let (findings, unmet) = (std::mem::take(&mut run.findings), run.unmet);
    let remarks = std::mem::take(&mut run.remarks);
    run.end_disturbances().await;
    drop(run);
    let outcome = match ended {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            complaints.insert(0, format!("{error:#}"));
            None
        }
    };
    Ok((Report { outcome, complaints, findings, unmet, remarks, logs }, workspace))
}

async fn run_to_end(run: &mut CaseRun<'_>) -> anyhow::Result<Outcome> {
    run.prepare_setting()?;
    for action in &run.case.actions {
        run.act(action).await.map_err(|error| error.context(format!("{action:?}")))?;
    }
    run.settle_and_check().await?;
    let told = run.told();
    Ok(Outcome { told, ..Outcome::read(&run.workspace.addresses.postgres).await? })
}
