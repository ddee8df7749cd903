//! `thicket up` and `thicket down`: a deployment of one's own on this machine. Private Redis,
//! Mosquitto and PostgreSQL of the distribution, and the engine, in one data directory that stays.
//!
//! - `args`: the command lines.
//! - `place`: the data directory and its files. `private_file`: writes those that only the user can
//!   read.
//! - `addresses`: the ports, which stay the same at the next start.
//! - `config_file`: `thicket.toml` of the data directory, with the addresses in it.
//! - `record`: the process that supervises the deployment, for `--status` and `down`.
//! - `secrets`: the passwords, and the files from which `mosquitto_pub` reads one.
//! - `engine`: the engine as a server of the deployment.
//! - `deployment`: starts, watches and stops servers and engine.
//! - `start_watch`: says what takes long in a start.
//! - `taken_port`: what to do about a taken port.
//! - `signals`: the signals that stop.
//! - `foreground`: the supervising process, until a signal.
//! - `background`: starts it, and waits until it is ready. `follow`: shows its log meanwhile.
//! - `down`: stops it.
//! - `show`: `--status`, `--env` and `--logs`. `log_files`: bounds the log files.
//! - `servers`: the private servers without the engine, for `thicket export` and `import`.

mod addresses;
mod args;
mod background;
mod config_file;
mod deployment;
mod down;
mod engine;
mod follow;
mod foreground;
mod log_files;
mod place;
mod private_file;
mod record;
mod secrets;
pub(crate) mod servers;
mod shell_words;
mod show;
mod signals;
mod start_watch;
mod taken_port;

use std::path::Path;
use std::process::ExitCode;

pub(crate) use args::{ABOUT, DownArgs, UpArgs};
pub(crate) use config_file::{Portable, left_out_of, portable};
pub(crate) use down::down;
pub(crate) use place::Place;
pub(crate) use shell_words::quoted_if_needed;

use crate::config::DEFAULT_FILE;

/// Whether a deployment runs in the default data directory.
pub(crate) fn is_default_running() -> bool {
    let place = Place::new(None);
    place.and_then(|place| record::is_held(&place)).unwrap_or(false)
}

/// Returns the command that starts the servers of a configuration file: `None` if the file is not that
/// of a deployment of `thicket up`, or if the deployment runs.
pub(crate) fn command_for(file: Option<&Path>) -> Option<String> {
    let file = std::path::absolute(file.unwrap_or_else(|| Path::new(DEFAULT_FILE))).ok()?;
    let place = Place::new(file.parent()).ok()?;
    let is_own = place.config() == file && place.ports().exists();
    let is_down = is_own && !record::is_held(&place).ok()?;
    is_down.then(|| format!("thicket up{}", place.flag()))
}

/// Runs `thicket up`.
pub(crate) fn up(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let place = Place::new(args.data.as_deref())?;
    if args.status {
        return show::status(&place);
    }
    if args.env {
        return show::env(&place);
    }
    if args.logs {
        return show::logs(&place, args.lines);
    }
    if args.foreground { foreground::run(&place, args) } else { background::start(&place, args) }
}
