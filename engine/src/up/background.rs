//! Starts the supervising process in the background, and waits until the engine is ready.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::addresses::{SavedPorts, WantedPorts};
use super::args::UpArgs;
use super::follow::Follow;
use super::foreground::STOPPED;
use super::place::Place;
use super::record::{self, Phase};
use super::show;
use super::signals::StopSignals;
use crate::terminal::{errln, outln};

/// How often the record is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// The exit code of a command that Ctrl-C has ended, as a shell reports it.
const INTERRUPTED: u8 = 130;

/// Starts the deployment in the background and returns when it is ready.
pub(super) fn start(place: &Place, args: &UpArgs) -> anyhow::Result<ExitCode> {
    let directory = place.directory().display();
    if let Some(record) = record::running(place)? {
        return match record.phase {
            Phase::Stopping => bail!("the deployment in {directory} is stopping; try again"),
            Phase::Starting => join(place),
            Phase::Ready => {
                let saved = SavedPorts::read(place)?;
                if let Some(saved) = saved.filter(|saved| !WantedPorts::of(args, Some(*saved)).fit(*saved)) {
                    show::addresses(place, saved);
                    bail!(
                        "the deployment in {directory} runs already, with these addresses; stop it with `thicket down{}` first",
                        place.flag()
                    );
                }
                show_ready(place, "a deployment runs already")
            }
        };
    }
    place.create()?;
    let stop = StopSignals::listen()?;
    let log = place.log();
    let cannot = || format!("cannot write {}", log.display());
    let output = File::options().create(true).append(true).open(&log).with_context(cannot)?;
    let mut follow = Follow::from_end(place);
    let mut child = spawn(place, args, output)?;
    let mut is_stopping = false;
    loop {
        follow.show();
        if let Some(status) = child.try_wait()? {
            follow.finish();
            if is_stopping {
                // A process that the signal has ended at once has said nothing.
                if status.signal().is_some() {
                    errln!("{STOPPED}");
                }
                return Ok(ExitCode::from(INTERRUPTED));
            }
            if is_started_by_another(place) {
                return join(place);
            }
            bail!("the start failed ({status}); `thicket up --logs{}` shows every log", place.flag());
        }
        if !is_stopping && has_phase(place, Some(child.id()), Phase::Ready) {
            return show_ready(place, "ready");
        }
        if is_stopping {
            std::thread::park_timeout(INTERVAL);
        } else if stop.wait(INTERVAL) {
            is_stopping = true;
            errln!("thicket: stopping what has started; press Ctrl-C again to leave this to the background");
            let pid = Pid::from_raw(child.id().cast_signed()).context("the process has no id")?;
            // It may have ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Waits until a deployment that another process starts is ready.
fn join(place: &Place) -> anyhow::Result<ExitCode> {
    errln!("thicket: another process starts the deployment; waiting until it is ready");
    let mut follow = Follow::from_end(place);
    while record::is_held(place)? {
        follow.show();
        if has_phase(place, None, Phase::Ready) {
            return show_ready(place, "ready");
        }
        std::thread::park_timeout(INTERVAL);
    }
    follow.finish();
    bail!("the start failed; `thicket up --logs{}` shows every log", place.flag())
}

fn spawn(place: &Place, args: &UpArgs, output: File) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["up", "--foreground", "--detached", "--data"]).arg(place.directory());
    let ports = [
        ("--mqtt-port", args.mqtt_port),
        ("--redis-port", args.redis_port),
        ("--postgres-port", args.postgres_port),
        ("--http-port", args.http_port),
    ];
    for (flag, port) in ports {
        command.args(port.map(|port| format!("{flag}={port}")));
    }
    command.args(args.listen.map(|address| format!("--listen={address}")));
    if args.free_ports {
        command.arg("--free-ports");
    }
    let errors = output.try_clone()?;
    command.current_dir("/").stdin(Stdio::null()).stdout(output).stderr(errors);
    command.spawn().context("cannot start the supervising process")
}

/// Whether a supervising process is in this phase. `pid` is its id, if it must be a certain
/// process.
fn has_phase(place: &Place, pid: Option<u32>, phase: Phase) -> bool {
    let record = record::running(place).ok().flatten();
    record.is_some_and(|record| pid.is_none_or(|pid| record.pid == pid) && record.phase == phase)
}

/// Whether another process starts the deployment, which has begun at the same moment.
fn is_started_by_another(place: &Place) -> bool {
    has_phase(place, None, Phase::Starting) || has_phase(place, None, Phase::Ready)
}

/// Says that the deployment is ready, and its addresses.
fn show_ready(place: &Place, what: &str) -> anyhow::Result<ExitCode> {
    outln!("{what}; the data is in {}", place.directory().display());
    if let Some(ports) = SavedPorts::read(place)? {
        show::addresses(place, ports);
    }
    Ok(ExitCode::SUCCESS)
}
