//! `thicket-loadtest scenario`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;

use super::{progress::progress_line, source::SourceArguments};
use crate::scenario::csv_files;

/// Writes a scenario as CSV files, to work on detection without any server.
///
/// Writes one file per sensor (city_harbour_microphone-01.csv) with the columns ts, the fields of a
/// reading, and label: the class of the event in the frame, or an empty cell. labels.csv lists the
/// events. `replay` with the same options publishes the same readings.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder to write. It is created. Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Readings per sensor.
    #[arg(long, default_value_t = 3_600, value_name = "N")]
    frames: u64,
    #[command(flatten)]
    source: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scenario = arguments.source.scenario("2026-01-01T00:00:00Z", arguments.frames)?;
    let sensors = scenario.sensors().len();
    let mut line = progress_line();
    let show = |index| line.show(|| format!("scenario: sensor {index} of {sensors}"));
    let events = csv_files::write(&scenario, &arguments.out, arguments.frames, show)
        .with_context(|| format!("cannot write to {}", arguments.out.display()))?;
    line.finish(&format!(
        "scenario: {sensors} sensors × {} frames with {events} events in {}",
        arguments.frames,
        arguments.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}
