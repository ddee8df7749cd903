//! The `thicket` binary: reads the configuration and runs the engine or another command.

mod access;
mod anomalies;
mod backlog;
mod backtest;
mod brokers;
mod check;
mod cli;
mod clocks;
mod config;
mod deadletters;
mod discover;
mod explain;
#[cfg(feature = "faults")]
mod faults;
mod format;
mod http;
mod ledger;
mod losses;
mod migrate;
mod output;
mod presets;
mod progress_line;
mod quarantine;
mod reconcile;
mod reload;
mod retention;
mod run;
mod scrape;
mod security;
mod sensor_fields;
mod sensors;
mod status;
mod stores;
mod telemetry;
mod time_arg;
mod topology;
mod try_message;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};

/// The command line or the configuration is wrong.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = cli.flags.check() {
        eprintln!("thicket: {error}");
        return ExitCode::from(WRONG_USAGE);
    }
    let config = match config::load(cli.config.as_deref(), &cli.flags.overrides()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("thicket: configuration: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if let Err(error) = telemetry::start(&config.log) {
        eprintln!("thicket: {error:#}");
        return ExitCode::from(WRONG_USAGE);
    }
    #[cfg(feature = "faults")]
    if let Err(error) = faults::set() {
        eprintln!("thicket: {error:#}");
        return ExitCode::from(WRONG_USAGE);
    }
    let result = match cli.command {
        Command::Run => {
            let origin = reload::Origin { file: cli.config.clone(), overrides: cli.flags.overrides() };
            run::run(&config, origin)
        }
        Command::Check => on_threads(check::check(&config)),
        Command::Migrate(args) => on_threads(migrate::migrate(&config, args)),
        Command::Status(format) => on_threads(status::status(&config, format)),
        Command::Reconcile(args) => on_threads(reconcile::reconcile(&config, args)),
        Command::Deadletter { command } => on_threads(deadletters::deadletter(&config, command)),
        Command::Quarantine { command } => on_threads(quarantine::quarantine(&config, command)),
        Command::Sensors { command } => on_threads(sensor_fields::sensors(&config, command)),
        Command::Anomalies { command } => on_threads(anomalies::anomalies(&config, command)),
        Command::Explain(args) => on_threads(explain::explain(&config, args)),
        Command::Presets { command } => presets::run(&command),
        Command::Discover(args) => on_threads(discover::discover(&config, args)),
        Command::Try(args) => try_message::try_message(&config, &args),
        Command::Backtest(args) => on_threads(backtest::backtest(&config, args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("thicket: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a command, other than the engine, on a multi-threaded runtime. Migrations with diesel need
/// one.
fn on_threads(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
