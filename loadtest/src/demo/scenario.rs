//! What the demo plays: the sounds, and a scenario whose history ends now.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;

use super::{blocking::blocking, options::DemoOptions};
use crate::{
    audio::{Library, library::LoadOptions},
    scenario::{Scenario, ScenarioOptions},
    synth::{self, SynthOptions},
};

/// Returns the number of frames of the history.
pub(super) fn history_frames(options: &DemoOptions) -> u64 {
    (options.history.as_secs_f64() / LoadOptions::default().frame_seconds) as u64
}

/// Loads the user's sounds, or writes and loads synthetic ones, and returns the scenario.
pub(super) async fn load(options: &DemoOptions, directory: &Path) -> anyhow::Result<Scenario> {
    let sounds = options.data.clone().unwrap_or_else(|| directory.join("sounds"));
    let synth_options =
        options.data.is_none().then(|| SynthOptions { seed: options.seed, ..SynthOptions::default() });
    let library = blocking(move || {
        if let Some(synth_options) = synth_options {
            synth::write(&sounds, &synth_options, |_| {})?;
        }
        Ok(Library::load(&sounds, &LoadOptions::default(), |_, _| {})?)
    })
    .await
    .context("the data set cannot be used")?;
    let history_micros = i64::try_from(options.history.as_micros()).context("--history is too long")?;
    let scenario_options = ScenarioOptions {
        sensors: options.sensors,
        seed: options.seed,
        start_micros: crate::time::now() - history_micros,
        ..ScenarioOptions::default()
    };
    Ok(Scenario::new(Arc::new(library), scenario_options)?)
}
