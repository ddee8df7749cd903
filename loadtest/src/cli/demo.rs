//! `thicket-loadtest demo`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use humantime::parse_duration;

use crate::demo::{self, DemoOptions};

/// Starts private servers and the engine, replays synthetic city sounds and shows what is found.
///
/// Prints addresses and progress to standard error. At the end, compares every row with what was
/// published, and prints the JSON object of `verify` to standard output.
///
/// Exit code 0 if every reading has an equal row, 1 if not or on failure.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// End after this long, such as 60s. Without it, the demo goes on until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Number of microphones.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    sensors: u32,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much of the past is replayed before live readings begin.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = parse_duration)]
    history: Duration,
    /// A folder in UrbanSound8K's layout. Without it, a synthetic data set is made.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory for the servers' data and logs. Without it, a temporary directory, which is
    /// removed at the end.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The engine's binary [default: thicket beside this executable, or else on PATH].
    #[arg(long, value_name = "PATH")]
    engine: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let options = DemoOptions {
        duration: arguments.duration,
        sensors: arguments.sensors,
        seed: arguments.seed,
        history: arguments.history,
        data: arguments.data,
        directory: arguments.directory,
        engine: arguments.engine,
    };
    let report = demo::demo(options).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
