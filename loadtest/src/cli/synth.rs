//! `thicket-loadtest synth`

use std::{path::PathBuf, process::ExitCode};

use super::progress::progress_line;
use crate::synth::{self, SynthOptions, SynthOutcome};

/// Writes a synthetic data set in UrbanSound8K's layout.
///
/// Writes metadata/UrbanSound8K.csv and audio/fold1 to fold10, with clips of ten classes of city
/// sound over the sound of a street. The same options give the same bytes on every machine. If the
/// folder already holds the same data set, nothing is written. An interrupted data set is
/// completed. A folder with any other contents is refused.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder to write. It is created.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = SynthOptions::default().seed)]
    seed: u64,
    /// Clips per class, of up to 4 seconds. 12 per class take about 18 MB. The genuine data set has
    /// up to 1,000.
    #[arg(long, default_value_t = SynthOptions::default().clips_per_class, value_name = "N")]
    clips_per_class: u32,
    /// Samples per second, 8000 to 192000. The files are mono with 16 bits.
    #[arg(long, default_value_t = SynthOptions::default().sample_rate, value_name = "HZ")]
    sample_rate: u32,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = SynthOptions {
        seed: arguments.seed,
        clips_per_class: arguments.clips_per_class,
        sample_rate: arguments.sample_rate,
    };
    let mut line = progress_line();
    let outcome = synth::write(&arguments.out, &options, |progress| {
        line.show(|| format!("synth: {} of {} clips", progress.written, progress.total));
    })?;
    let folder = arguments.out.display();
    line.finish(&match outcome {
        SynthOutcome::Written { clips } => format!("synth: wrote {clips} clips to {folder}"),
        SynthOutcome::AlreadyThere { clips } => format!("synth: {folder} already holds these {clips} clips"),
    });
    Ok(ExitCode::SUCCESS)
}
