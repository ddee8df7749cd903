//! The arguments that define a scenario. Several commands share them.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

use super::progress::progress_line;
use crate::{
    audio::{Library, library::LoadOptions},
    scenario::{Scenario, ScenarioOptions},
    time,
};

/// The value of `--start` with which the scenario ends now.
pub(super) const END_AT_NOW: &str = "end-at-now";

/// The arguments that define a scenario.
#[derive(clap::Args)]
pub(super) struct SourceArguments {
    /// A folder in UrbanSound8K's layout: the genuine data set, or one written by `synth`.
    #[arg(long, value_name = "DIR", env = "THICKET_DATA_SET")]
    data: PathBuf,
    /// Number of sensors, named city/<district>/microphone-NN. The readings of a sensor do not
    /// depend on the number of sensors.
    #[arg(long, default_value_t = ScenarioOptions::default().sensors, value_name = "N")]
    sensors: u32,
    /// Seed of all random numbers. The same data and the same seed give the same readings.
    #[arg(long, default_value_t = ScenarioOptions::default().seed)]
    seed: u64,
    /// Event time of the first frame, such as 2026-11-22T10:00:00Z, or end-at-now: the history of
    /// --frames ends now [default: 2026-01-01T00:00:00Z for `scenario`, end-at-now for `replay`].
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Mean number of labelled events per sensor and hour. 0: no events.
    #[arg(long, default_value_t = ScenarioOptions::default().events_per_hour, value_name = "N")]
    events_per_hour: f64,
    /// Number of frames without events at the beginning of each sensor.
    #[arg(long, default_value_t = ScenarioOptions::default().quiet_frames, value_name = "FRAMES")]
    quiet_frames: u64,
    /// Level of events above the usual level of the place, in dB: LOW..HIGH.
    #[arg(long, default_value = "8..20", value_name = "DB", value_parser = decibel_range)]
    salience: (f64, f64),
    /// Seconds per frame, 0.05 to 4. It is the time between two readings of a sensor.
    #[arg(long, default_value_t = LoadOptions::default().frame_seconds, value_name = "SECONDS")]
    frame: f64,
    /// Maximum number of clips to read per class, clips in the foreground first.
    #[arg(long, default_value_t = LoadOptions::default().clips_per_class, value_name = "N")]
    clips: usize,
}

impl SourceArguments {
    /// Reads the data set and returns the scenario. With `end-at-now` it starts `frames` frames
    /// before now.
    pub(super) fn scenario(&self, default_start: &str, frames: u64) -> anyhow::Result<Scenario> {
        let load = LoadOptions { frame_seconds: self.frame, clips_per_class: self.clips };
        let mut line = progress_line();
        let library = Library::load(&self.data, &load, |done, total| {
            line.show(|| format!("analysing clip {done} of {total}"));
        })?;
        let reasons = library.skip_reasons();
        let skipped: Vec<String> =
            reasons.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        let summary = match skipped.as_slice() {
            [] => String::new(),
            skipped => format!("skipped {} files: {}", library.skipped().len(), skipped.join(", ")),
        };
        line.finish(&summary);
        let options = ScenarioOptions {
            sensors: self.sensors,
            seed: self.seed,
            start_micros: self.start_micros(default_start, frames)?,
            events_per_hour: self.events_per_hour,
            quiet_frames: self.quiet_frames,
            salience_db: self.salience,
        };
        Ok(Scenario::new(Arc::new(library), options)?)
    }

    /// Returns the event time of the first frame, in µs since the Unix epoch.
    fn start_micros(&self, default_start: &str, frames: u64) -> anyhow::Result<i64> {
        let start = self.start.as_deref().unwrap_or(default_start);
        if start == END_AT_NOW {
            // Whole seconds make timestamps easy to read.
            return Ok((time::now() - (frames as f64 * self.frame * 1e6) as i64) / 1_000_000 * 1_000_000);
        }
        time::parse(start).map_err(anyhow::Error::msg).context("--start takes a time or end-at-now")
    }
}

fn decibel_range(text: &str) -> Result<(f64, f64), String> {
    let parts = text.split_once("..").and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not a range like 8..20"))
}
