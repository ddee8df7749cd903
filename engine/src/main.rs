//! The `thicket` binary: reads the configuration and runs the engine or another command.

// `terminal` has macros that let no text from outside control the terminal.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod anomalies;
mod backlog;
mod backtest;
mod brokers;
mod check;
mod checkpoint_keep;
mod cli;
mod clocks;
mod config;
mod deadletters;
mod discover;
mod explain;
#[cfg(feature = "faults")]
mod faults;
mod fleet;
mod format;
mod generate;
mod http;
mod ledger;
mod losses;
mod migrate;
mod notify;
mod output;
mod own_clock;
mod partial_file;
mod plan;
mod presets;
mod progress_line;
mod prune;
#[cfg(test)]
mod public;
mod quarantine;
mod readiness;
mod ready;
mod reconcile;
mod reload;
mod retention;
mod revision;
mod run;
mod scrape;
mod security;
mod sensor_fields;
mod sensors;
mod service_manager;
mod show_config;
mod similar;
mod status;
mod stores;
mod stores_watch;
mod telemetry;
mod terminal;
mod time_arg;
mod toml_keys;
mod topology;
mod transfer;
mod try_message;
mod up;
mod usage;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::terminal::{errln, on_one_line, output_error, shown};
use clap::CommandFactory as _;
use cli::{Cli, Command};
use config::ConfigProblems;
use usage::WrongUsage;

/// The command line or the configuration is wrong.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::of_process();
    if let Err(error) = cli.flags.check() {
        errln!("thicket: {error}");
        return ExitCode::from(WRONG_USAGE);
    }
    // The engine writes its warnings to its log, which does not exist yet.
    let warnings = warnings_of_variables();
    let is_engine = matches!(cli.command, Command::Run);
    if !is_engine {
        show(&warnings);
    }
    if let Some(result) = without_configuration(&cli) {
        return ended(result);
    }
    let watched = reload::WatchedFile::note(cli.config.as_deref());
    let loaded = match config::load(cli.config.as_deref(), &cli.flags.overrides()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let code = failed(&anyhow::Error::new(problems).context("configuration"));
            if is_engine {
                show(&warnings);
            }
            return code;
        }
    };
    let config = loaded.config.clone();
    if let Some(command) = up::command_for(cli.config.as_deref()) {
        stores::are_started_by(command);
    }
    if let Err(error) = telemetry::start(&config.log) {
        errln!("thicket: {error:#}");
        return ExitCode::from(WRONG_USAGE);
    }
    if is_engine {
        let exposed = loaded.secret_files.iter().filter_map(config::SecretFile::warning);
        for warning in warnings.into_iter().chain(exposed) {
            tracing::warn!("{warning}");
        }
    }
    #[cfg(feature = "faults")]
    if let Err(error) = faults::set() {
        errln!("thicket: {error:#}");
        return ExitCode::from(WRONG_USAGE);
    }
    let result = match cli.command {
        Command::Run => {
            let (file, overrides) = (cli.config.clone(), cli.flags.overrides());
            let origin = reload::Origin { file, overrides, watched };
            run::run(&config, origin)
        }
        Command::Check(args) => on_threads(check::check(&loaded, args)),
        Command::Migrate(args) => on_threads(migrate::migrate(&config, args)),
        Command::Status(args) => on_threads(status::status(&config, args)),
        Command::Reconcile(args) => on_threads(reconcile::reconcile(&config, args)),
        Command::Deadletter { command } => on_threads(deadletters::deadletter(&config, command)),
        Command::Quarantine { command } => on_threads(quarantine::quarantine(&config, command)),
        Command::Sensors { command } => on_threads(sensor_fields::sensors(&config, command)),
        Command::Anomalies { command } => on_threads(anomalies::anomalies(&config, command)),
        Command::Notify { command } => on_threads(notify::notify(&config, command)),
        Command::Explain(args) => on_threads(explain::explain(&config, args)),
        Command::Discover(args) => on_threads(discover::discover(&config, args)),
        Command::Try(args) => try_message::try_message(&config, &args),
        Command::Backtest(args) => on_threads(backtest::backtest(&config, args)),
        Command::Plan(args) => plan::plan(&config, &args),
        Command::Config(args) => show_config::show(&loaded, args),
        Command::Export(args) => on_threads(transfer::export(&loaded, &args)),
        Command::Import(args) => on_threads(transfer::import(&config, &args.file, false)),
        // `without_configuration` has run these.
        Command::Completions(_)
        | Command::Man(_)
        | Command::Presets { .. }
        | Command::Ready
        | Command::Up(_)
        | Command::Down(_) => Ok(ExitCode::SUCCESS),
    };
    let has_file = cli.config.is_some() || std::path::Path::new(config::DEFAULT_FILE).exists();
    if result.is_err() && !has_file && up::is_default_running() {
        errln!(
            "thicket: there is no thicket.toml here, but a deployment of `thicket up` runs; `eval \"$(thicket up --env)\"` lets \
             the commands of this terminal find it"
        );
    }
    ended(result)
}

/// Returns a warning for each variable that looks like a setting and is none.
fn warnings_of_variables() -> Vec<String> {
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config::unknown_variables(variables, &config::default_keys())
}

/// Shows warnings where there is no log.
fn show(warnings: &[String]) {
    for warning in warnings {
        errln!("thicket: warning: {}", on_one_line(warning));
    }
}

/// Runs a command that needs no configuration, or only a part. Returns `None` for any other command.
fn without_configuration(cli: &Cli) -> Option<anyhow::Result<ExitCode>> {
    match &cli.command {
        Command::Completions(args) => Some(Ok(generate::completions(Cli::command(), *args))),
        Command::Man(args) => Some(generate::man(Cli::command(), args)),
        Command::Config(args) if args.defaults => Some(Ok(show_config::print_defaults())),
        Command::Presets { command } => Some(presets::run(command)),
        Command::Ready => {
            let http = config::load_http(cli.config.as_deref()).context("configuration");
            Some(http.and_then(|http| on_threads(ready::ready(&http))))
        }
        Command::Up(args) => Some(up::up(args)),
        Command::Down(args) => Some(up::down(args)),
        Command::Export(args) => transfer::export_private(args, &cli.flags.overrides()),
        Command::Import(args) => transfer::import_private(args, &cli.flags.overrides()),
        _ => None,
    }
}

/// Shows the error of a command. Output that is not complete is an error too.
fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    let code = result.unwrap_or_else(|error| failed(&error));
    let Some(error) = output_error() else { return code };
    errln!("thicket: the output cannot be written: {error}");
    if code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
}

/// Shows an error, and returns the exit code. Each problem of another configuration has a line.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<ConfigProblems>() {
        let context = error.chain().take_while(|cause| !cause.is::<ConfigProblems>());
        let context: Vec<String> = context.map(ToString::to_string).collect();
        for line in problems.lines() {
            errln!("thicket: {}", [&context[..], &[on_one_line(&line)]].concat().join(": "));
        }
        return ExitCode::from(WRONG_USAGE);
    }
    errln!("thicket: {}", error_text(error));
    if error.is::<WrongUsage>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
}

/// Returns the text of an error. The log of a server that has not started has its lines; any other
/// line feed comes from outside and is escaped.
fn error_text(error: &anyhow::Error) -> String {
    use thicket_compose::Error::{Ended, NotReady};
    let has_log = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(Ended { .. } | NotReady { .. }))
    };
    let text = format!("{error:#}");
    if error.chain().any(has_log) { shown(&text) } else { on_one_line(&text) }
}

/// Runs a command, other than the engine, on a multi-threaded runtime. Migrations with diesel need
/// one.
fn on_threads(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread may wait for a server that does not answer. The command does not wait for it.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_log_of_a_server_has_lines() {
        let log = "a\nb\u{1b}".to_owned();
        let error = thicket_compose::Error::Ended { server: "redis", status: "1".to_owned(), log };
        let text = error_text(&anyhow::Error::from(error).context("the start failed"));
        assert!(text.ends_with("its log ends:\na\nb\\u{1b}"), "{text}");
        assert_eq!(error_text(&anyhow::anyhow!("a\nb")), "a\\nb");
    }
}
