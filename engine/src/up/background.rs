//! Starts the supervising process in the background, and waits until the engine is ready.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::args::UpArgs;
use super::place::Place;
use super::record::{self, Phase, Record};
use super::show;
use crate::terminal::{errln, outln, shown};

/// How often the record is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Starts the deployment in the background and returns when it is ready.
pub(super) fn start(place: &Place, args: &UpArgs) -> anyhow::Result<ExitCode> {
    if let Some(record) = record::running(place)? {
        if record.phase == Phase::Stopping {
            bail!("the deployment in {} is stopping; try again", place.directory().display());
        }
        outln!("a deployment runs in {} already", place.directory().display());
        show::addresses(place, &record.processes);
        return Ok(ExitCode::SUCCESS);
    }
    place.create()?;
    errln!(
        "thicket: starting Redis, Mosquitto, PostgreSQL and the engine in {}",
        place.directory().display()
    );
    let log = place.log();
    let cannot = || format!("cannot write {}", log.display());
    let output = File::options().create(true).append(true).open(&log).with_context(cannot)?;
    let log_start = output.metadata()?.len();
    let mut child = spawn(place, args, output)?;
    // The sender lives as long as this function: each wait takes the whole interval.
    let (_sender, never) = mpsc::channel::<()>();
    loop {
        if let Some(status) = child.try_wait()? {
            errln!("{}", text_after(place, log_start));
            bail!("the start failed ({status})");
        }
        if let Some(record) = ready(place, child.id()) {
            outln!("ready; the data is in {}", place.directory().display());
            show::addresses(place, &record.processes);
            return Ok(ExitCode::SUCCESS);
        }
        let _ = never.recv_timeout(INTERVAL);
    }
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
    if args.free_ports {
        command.arg("--free-ports");
    }
    let errors = output.try_clone()?;
    command.current_dir("/").stdin(Stdio::null()).stdout(output).stderr(errors);
    command.spawn().context("cannot start the supervising process")
}

/// Returns the record of the process that was started, once it is ready.
fn ready(place: &Place, pid: u32) -> Option<Record> {
    let record = record::running(place).ok()??;
    (record.pid == pid && record.phase == Phase::Ready).then_some(record)
}

/// Returns what the process has written to its log.
fn text_after(place: &Place, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = fs::File::open(place.log()).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => shown(String::from_utf8_lossy(&bytes).trim_end()),
        Err(error) => format!("({} cannot be read: {error})", place.log().display()),
    }
}
