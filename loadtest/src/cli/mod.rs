//! The command line of `thicket-loadtest`, one file per command.
//!
//! Results go to standard output, progress and errors to standard error. Exit codes: 0 success, 1
//! failure or a loss that `verify` or `demo` found, 2 a mistake on the command line.

mod database;
mod demo;
mod digest;
mod progress;
mod replay;
mod scenario;
mod source;
mod synth;
mod verify;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Publishes the sounds of a city to Thicket, and proves that no reading was lost.
///
/// A first run, with an engine that subscribes to sensors/#:
///
///   export THICKET__POSTGRES__URL=postgres://thicket@localhost/thicket
///   thicket-loadtest synth --out /tmp/city
///   thicket-loadtest replay --data /tmp/city --frames 1800 --manifest /tmp/city.manifest
///   thicket-loadtest verify --manifest /tmp/city.manifest --wait 60
///   thicket-loadtest digest
#[derive(Parser)]
#[command(name = "thicket-loadtest", version, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Synth(synth::Arguments),
    Scenario(scenario::Arguments),
    Replay(replay::Arguments),
    Verify(verify::Arguments),
    Digest(digest::Arguments),
    Demo(demo::Arguments),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let outcome = match Arguments::parse().command {
        Command::Synth(arguments) => synth::run(&arguments),
        Command::Scenario(arguments) => scenario::run(&arguments),
        Command::Replay(arguments) => block_on(replay::run(arguments)),
        Command::Verify(arguments) => block_on(verify::run(arguments)),
        Command::Digest(arguments) => block_on(digest::run(arguments)),
        Command::Demo(arguments) => block_on(demo::run(arguments)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", thicket_connect::all_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}
