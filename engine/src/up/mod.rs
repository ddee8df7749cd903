//! `thicket up` and `thicket down`: a deployment of one's own on this machine. Private Redis,
//! Mosquitto and PostgreSQL of the distribution, and the engine, in one data directory that stays.
//!
//! - `args`: the command lines.
//! - `place`: the data directory and its files.
//! - `addresses`: the ports, which stay the same at the next start.
//! - `config_file`: `thicket.toml` of the data directory, with the addresses in it.
//! - `record`: the process that supervises the deployment, for `--status` and `down`.
//! - `engine`: the engine as a server of the deployment.
//! - `deployment`: starts, watches and stops servers and engine.
//! - `foreground`: the supervising process, until a signal. `background`: starts it, and waits
//!   until it is ready.
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
mod foreground;
mod log_files;
mod place;
mod record;
pub(crate) mod servers;
mod show;

use std::process::ExitCode;

pub(crate) use args::{ABOUT, DownArgs, UpArgs};
pub(crate) use config_file::{Portable, left_out_of, portable};
pub(crate) use down::down;
pub(crate) use place::Place;

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
        return Ok(show::logs(&place, args.lines));
    }
    if args.foreground { foreground::run(&place, args) } else { background::start(&place, args) }
}
