//! Presets: the keys of subscriptions for well-known devices. Each is a short TOML file in the
//! form of the configuration.

mod args;

use std::process::ExitCode;

use crate::similar::suggestion;
use crate::terminal::{out, outln};
use crate::toml_keys::{NotToml, keys_of_toml};
use crate::usage::WrongUsage;
pub(crate) use args::PresetsCommand;
use figment::value::Dict;

/// The presets, sorted by name, with their files.
const PRESETS: [(&str, &str); 14] = [
    ("chirpstack-v4", include_str!("toml/chirpstack-v4.toml")),
    ("esphome", include_str!("toml/esphome.toml")),
    ("home-assistant-statestream", include_str!("toml/home-assistant-statestream.toml")),
    ("homie", include_str!("toml/homie.toml")),
    ("rtl_433", include_str!("toml/rtl_433.toml")),
    ("senml", include_str!("toml/senml.toml")),
    ("shelly-gen1", include_str!("toml/shelly-gen1.toml")),
    ("shelly-gen2", include_str!("toml/shelly-gen2.toml")),
    ("sparkplug-b", include_str!("toml/sparkplug-b.toml")),
    ("tasmota", include_str!("toml/tasmota.toml")),
    ("telegraf-json", include_str!("toml/telegraf-json.toml")),
    ("thingsboard", include_str!("toml/thingsboard.toml")),
    ("ttn-v3", include_str!("toml/ttn-v3.toml")),
    ("zigbee2mqtt", include_str!("toml/zigbee2mqtt.toml")),
];

/// Why a preset cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PresetError {
    /// No preset has this name.
    #[error("there is no preset {0:?}{meant}; the presets are {names}", meant = suggestion(.0, &names()), names = names().join(", "))]
    Unknown(String),
    /// Its file cannot be read, which a test excludes.
    #[error("the preset {0}")]
    Unreadable(#[from] NotToml),
}

/// Returns the names of the presets, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

/// Returns the keys of the subscriptions of a preset, at least one.
pub(crate) fn subscriptions_of(name: &str) -> Result<Vec<Dict>, PresetError> {
    let text = text_of(name)?;
    let keys = keys_of_toml(name, text)?;
    let several = keys.get("subscriptions").and_then(figment::value::Value::as_array);
    let several = several.map(|all| all.iter().filter_map(|one| one.as_dict().cloned()).collect());
    Ok(several.unwrap_or_else(|| vec![keys]))
}

fn text_of(name: &str) -> Result<&'static str, PresetError> {
    let preset = PRESETS.iter().find(|(preset, _)| *preset == name);
    preset.map(|(_, text)| *text).ok_or_else(|| PresetError::Unknown(name.to_owned()))
}

/// Runs a command on presets.
pub(crate) fn run(command: &PresetsCommand) -> anyhow::Result<ExitCode> {
    match command {
        PresetsCommand::List => {
            for (name, text) in PRESETS {
                outln!("{name:<28}{}", first_sentence(text));
            }
        }
        PresetsCommand::Show { name } => {
            let text = text_of(name);
            out!("{}", text.map_err(|error| WrongUsage(format!("{error} (`thicket presets list`)")))?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn first_sentence(text: &str) -> String {
    let comment: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let comment = comment.join(" ");
    comment.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
