//! The supervising process: starts the deployment, watches it, and stops it at a signal.

use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::addresses::{SavedPorts, WantedPorts};
use super::args::UpArgs;
use super::deployment::Deployment;
use super::place::Place;
use super::record::{self, Phase, Record};
use super::{log_files, show};
use crate::terminal::{errln, on_one_line};

/// How often the processes are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// The exit code after a second signal, as that of an engine that did not stop in time.
const STOPPED_AT_ONCE: i32 = 4;

/// Runs the deployment until SIGTERM, SIGINT or SIGHUP.
pub(super) fn run(place: &Place, args: &UpArgs) -> anyhow::Result<ExitCode> {
    if args.detached {
        // It fails only for the leader of a process group, which this process is not.
        let _ = rustix::process::setsid();
    }
    place.create()?;
    place.refuse_half_import()?;
    let Some(_lock) = record::lock(place)? else {
        bail!("a deployment runs in {} already; `thicket down` stops it", place.directory().display());
    };
    let stop = stop_signals()?;
    let note = |phase, processes| record::write(place, &Record::of_this_process(phase, processes));
    note(Phase::Starting, Vec::new())?;
    log_files::bound(place);
    let ports = WantedPorts::of(args, SavedPorts::read(place)?);
    let mut deployment = Deployment::start(place, ports).inspect_err(|_| record::remove(place))?;
    let mut processes = deployment.records();
    note(Phase::Ready, processes.clone())?;
    errln!("thicket: ready");
    if !args.detached {
        show::addresses(place, &processes);
        errln!("thicket: Ctrl-C stops it; the data stays");
    }
    let mut is_reported = false;
    while matches!(stop.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
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

/// Returns a channel that gets a message at the first signal to stop. A second signal ends this
/// process, and the kernel then tells engine and servers to stop.
fn stop_signals() -> anyhow::Result<Receiver<()>> {
    let (sender, receiver) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let signals: Result<Vec<Signal>, _> = {
        let _guard = runtime.enter();
        kinds.into_iter().map(signal).collect()
    };
    let signals = signals.context("cannot listen for signals")?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let [mut terminate, mut interrupt, mut hangup] = <[Signal; 3]>::try_from(signals).ok()?;
            for count in 0.. {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
                if count > 0 {
                    errln!("thicket: a second signal: not waiting any longer");
                    std::process::exit(STOPPED_AT_ONCE);
                }
                sender.send(()).ok()?;
            }
            Some(())
        });
    });
    Ok(receiver)
}
