//! `thicket-loadtest synth`

use std::{path::PathBuf, process::ExitCode};

use super::progress::progress_line;
use crate::synth::{self, SynthOptions, SynthOutcome};

/// Writes a synthetic data set in UrbanSound8K's layout.
///
/// Ten classes of city sound, each from a procedural recipe of its own, mixed at its salience over a street bed:
/// metadata/UrbanSound8K.csv and audio/fold1 to fold10. The same options give the same bytes on every machine. A folder that
/// already holds this very data set is left alone, an interrupted one is completed, anything else is refused.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder to write; it is created.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Everything random derives from it.
    #[arg(long, default_value_t = SynthOptions::default().seed)]
    seed: u64,
    /// Clips of up to 4 seconds per class; 12 make about 18 MB, the genuine data set has up to 1,000.
    #[arg(long, default_value_t = SynthOptions::default().clips_per_class, value_name = "N")]
    clips_per_class: u32,
    /// Samples per second, 8000 to 192000; mono, 16 bit.
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
