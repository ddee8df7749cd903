//! The command line of `thicket-loadtest`, one file per command.
//!
//! Results go to standard output, progress and errors to standard error. Exit codes: 0 success, 1 failure (also: `verify`
//! found a loss), 2 a mistake on the command line.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

mod progress;
mod scenario;
mod source;
mod synth;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Feeds Thicket with the sounds of a city, and proves that nothing was lost on the way.
///
/// A first run, against an engine that listens to sensors/#:
///
///   thicket-loadtest synth --out /tmp/city
///   thicket-loadtest replay --data /tmp/city --sensors 20 --frames 1800 --ledger /tmp/city.ledger
///   thicket-loadtest verify --ledger /tmp/city.ledger --database postgres://thicket@localhost/thicket
///   thicket-loadtest digest --database postgres://thicket@localhost/thicket
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
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Synth(arguments) => synth::run(&arguments),
        Command::Scenario(arguments) => scenario::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
