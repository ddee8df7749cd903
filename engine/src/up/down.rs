//! `thicket down`: stops the deployment. The data stays.

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use super::args::DownArgs;
use super::place::Place;
use super::{record, show};
use crate::terminal::{errln, outln};

/// How often the lock is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Stops the deployment and waits until all its processes have ended.
pub(crate) fn down(args: &DownArgs) -> anyhow::Result<ExitCode> {
    let place = Place::new(args.data.as_deref())?;
    let directory = place.directory().display();
    let Some(record) = record::running(&place)? else {
        outln!("no deployment runs in {directory}");
        return Ok(ExitCode::SUCCESS);
    };
    errln!("thicket: stopping the engine, which drains and saves its detectors, and then the servers");
    let pid = Pid::from_raw(record.pid.cast_signed()).context("the record has no process id")?;
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(error).context("cannot stop the supervising process"),
    }
    // The sender lives as long as this function: each wait takes the whole interval.
    let (_sender, never) = mpsc::channel::<()>();
    while record::is_held(&place)? {
        let _ = never.recv_timeout(INTERVAL);
    }
    outln!("stopped; the data stays in {directory}");
    outln!("to move it to other servers: {}", show::export(&place));
    Ok(ExitCode::SUCCESS)
}
