//! What is played: sounds, and the scenario that ends at the present.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use thicket_loadtest::audio::Library;
use thicket_loadtest::audio::library::LoadOptions;
use thicket_loadtest::scenario::{Scenario, ScenarioOptions};
use thicket_loadtest::synth::{self, SynthOptions};

use super::DemoArgs;

/// Frames of the history.
pub(super) fn frames(args: &DemoArgs) -> u64 {
    (args.history.as_secs_f64() / LoadOptions::default().frame_seconds) as u64
}

/// Reads the sounds (and makes them, unless the user has some) and lays out the scenario: its history ends now.
pub(super) async fn scenario(args: &DemoArgs, directory: &Path) -> anyhow::Result<Scenario> {
    let sounds: PathBuf = args.data.clone().unwrap_or_else(|| directory.join("sounds"));
    let make = args.data.is_none().then(|| SynthOptions { seed: args.seed, ..SynthOptions::default() });
    let library = super::blocking(move || {
        if let Some(options) = make {
            synth::write(&sounds, &options, |_| {})?;
        }
        Ok(Library::load(&sounds, &LoadOptions::default(), |_, _| {})?)
    })
    .await
    .context("the data set cannot be used")?;
    let history_micros = i64::try_from(args.history.as_micros()).context("--history is too long")?;
    let options = ScenarioOptions {
        sensors: args.sensors,
        seed: args.seed,
        start_micros: chrono::Utc::now().timestamp_micros() - history_micros,
        ..ScenarioOptions::default()
    };
    Ok(Scenario::new(Arc::new(library), options)?)
}
