//! Arguments that several commands share: where readings come from.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

use super::progress::progress_line;
use crate::{
    audio::{Library, library::LoadOptions},
    scenario::{Scenario, ScenarioOptions},
    time,
};

/// The start that lets the scenario end at the present.
pub(super) const END_AT_NOW: &str = "end-at-now";

/// The scenario to play.
#[derive(clap::Args)]
pub(super) struct SourceArguments {
    /// A folder in UrbanSound8K's layout: the genuine one, or one written by `synth`.
    #[arg(long, value_name = "DIR", env = "THICKET_DATA_SET")]
    data: PathBuf,
    /// Number of sensors, named city/<district>/microphone-NN. More sensors do not change the readings of the first ones.
    #[arg(long, default_value_t = ScenarioOptions::default().sensors, value_name = "N")]
    sensors: u32,
    /// Everything random derives from it: same data, same seed, same readings.
    #[arg(long, default_value_t = ScenarioOptions::default().seed)]
    seed: u64,
    /// Event time of the first frame (2026-11-22T10:00:00Z), or end-at-now: the frame after the last of --frames is taken now.
    /// `scenario` starts at 2026-01-01T00:00:00Z, `replay` with end-at-now, unless told otherwise.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Mean number of labelled events per sensor and hour; 0 for none.
    #[arg(long, default_value_t = ScenarioOptions::default().events_per_hour, value_name = "N")]
    events_per_hour: f64,
    /// Frames at the beginning of each sensor without events.
    #[arg(long, default_value_t = ScenarioOptions::default().quiet_frames, value_name = "FRAMES")]
    quiet_frames: u64,
    /// Events stand this many dB above the place's usual level: LOW..HIGH.
    #[arg(long, default_value = "8..20", value_name = "DB", value_parser = decibel_range)]
    salience: (f64, f64),
    /// Seconds per frame, which is the time between two readings of a sensor; 0.05 to 4.
    #[arg(long, default_value_t = LoadOptions::default().frame_seconds, value_name = "SECONDS")]
    frame: f64,
    /// Clips to read per class, those in the foreground first.
    #[arg(long, default_value_t = LoadOptions::default().clips_per_class, value_name = "N")]
    clips: usize,
}

impl SourceArguments {
    /// Reads the data set and sets up the scenario. `frames` is what `end-at-now` counts back.
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

    fn start_micros(&self, default_start: &str, frames: u64) -> anyhow::Result<i64> {
        let start = self.start.as_deref().unwrap_or(default_start);
        if start == END_AT_NOW {
            // Whole seconds make timestamps that are easy to read.
            return Ok((time::now() - (frames as f64 * self.frame * 1e6) as i64) / 1_000_000 * 1_000_000);
        }
        time::parse(start).map_err(anyhow::Error::msg).context("--start wants a time or end-at-now")
    }
}

fn decibel_range(text: &str) -> Result<(f64, f64), String> {
    let parts = text.split_once("..").and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not a range like 8..20"))
}
