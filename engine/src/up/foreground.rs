//! The supervising process: starts the deployment, watches it, and stops it at a signal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::addresses::{SavedPorts, WantedPorts};
use super::args::UpArgs;
use super::deployment::Deployment;
use super::place::Place;
use super::record::{self, Phase, Record};
use super::signals::StopSignals;
use super::start_watch::patience;
use super::{log_files, show, taken_port};
use crate::terminal::{errln, on_one_line};

/// What a start says that a signal has stopped.
pub(super) const STOPPED: &str = "thicket: stopped before it was ready; the data stays";
/// How often the processes are looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Runs the deployment until SIGTERM, SIGINT or SIGHUP.
pub(super) fn run(place: &Place, args: &UpArgs) -> anyhow::Result<ExitCode> {
    if args.detached {
        // It fails only for the leader of a process group, which this process is not.
        let _ = rustix::process::setsid();
    }
    // From here on a signal is no sudden end: `thicket up` sends one as soon as it sees the lock.
    let stop = StopSignals::listen()?;
    place.create()?;
    place.refuse_half_import()?;
    let Some(_lock) = record::lock(place)? else {
        bail!("a deployment runs in {} already; `thicket down` stops it", place.directory().display());
    };
    let note = |phase, processes| record::write(place, &Record::of_this_process(phase, processes));
    note(Phase::Starting, Vec::new())?;
    log_files::bound(place);
    let ports = WantedPorts::of(args, SavedPorts::read(place)?);
    let mut deployment = match Deployment::start(place, ports, &patience(stop.flag())) {
        Ok(deployment) => deployment,
        Err(error) => {
            record::remove(place);
            let cause = error.downcast_ref::<thicket_compose::Error>();
            if !matches!(cause, Some(thicket_compose::Error::Cancelled { .. })) {
                return Err(taken_port::explained(error, place));
            }
            errln!("{STOPPED}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut processes = deployment.records();
    note(Phase::Ready, processes.clone())?;
    errln!("thicket: ready");
    if !args.detached {
        show::addresses(place, deployment.ports());
        errln!("thicket: Ctrl-C stops it; the data stays");
    }
    let mut is_reported = false;
    while !stop.wait(INTERVAL) {
        deployment.revive();
        log_files::bound(place);
        let now = deployment.records();
        if now != processes {
            let noted = note(Phase::Ready, now.clone());
            // A full disk must stop no deployment. The next round tries again.
            if noted.is_ok() {
                processes = now;
            }
            report(&noted, &mut is_reported);
        }
    }
    report(&note(Phase::Stopping, deployment.records()), &mut is_reported);
    errln!("thicket: stopping the engine, which drains and saves its detectors, and then the servers");
    let stopped = deployment.stop();
    record::remove(place);
    stopped?;
    errln!("thicket: stopped");
    Ok(ExitCode::SUCCESS)
}

/// Logs that the record cannot be written, once until it can be written again.
fn report(noted: &anyhow::Result<()>, is_reported: &mut bool) {
    if let (Err(error), false) = (noted, *is_reported) {
        errln!("thicket: {}", on_one_line(&format!("{error:#}")));
    }
    *is_reported = noted.is_err();
}
