//! Reads the configuration from its sources.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};

use super::error::{ConfigError, without_secrets};
use super::mqtt::{Layers, brokers};
use super::root::Config;

const DEFAULTS: &str = include_str!("default.toml");
const PREFIX: &str = "THICKET__";
/// The configuration file if the command line names none.
pub(crate) const DEFAULT_FILE: &str = "thicket.toml";

/// The settings of the command line, as key and value.
pub(crate) type Overrides = Vec<(&'static str, String)>;

/// Reads the configuration from all its sources. `file` must exist if it is given; otherwise
/// `thicket.toml` is read if it exists.
pub(crate) fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigError> {
    let defaults = Figment::from(Toml::string(DEFAULTS));
    let file = match file {
        Some(path) if !path.is_file() => return Err(ConfigError::NoFile(path.to_owned())),
        Some(path) => Figment::from(Toml::file_exact(path)),
        None => Figment::from(Toml::file(DEFAULT_FILE)),
    };
    let above = above_the_file(overrides)?;
    let all = defaults.clone().merge(&file).merge(&above);
    let mut config: Config = all.extract().map_err(|errors| {
        ConfigError::Source(errors.into_iter().map(without_secrets).collect::<Vec<_>>().join("; "))
    })?;
    config.mqtt = brokers(&Layers { defaults: &defaults, file: &file, above: &above })?;
    config.validate()?;
    Ok(config)
}

/// Reads the sources that win over the file: environment variables, files of secrets, and flags.
fn above_the_file(overrides: &Overrides) -> Result<Figment, ConfigError> {
    let is_value = |key: &figment::value::UncasedStr| !is_secret_file(key.as_str());
    let mut figment = Figment::from(Env::prefixed(PREFIX).filter(is_value).split("__"));
    for (variable, path) in std::env::vars().filter(|(variable, _)| variable.starts_with(PREFIX)) {
        let Some(key) = variable.strip_prefix(PREFIX).filter(|key| is_secret_file(key)) else { continue };
        let key = key[..key.len() - "_FILE".len()].to_lowercase().replace("__", ".");
        let secret = std::fs::read_to_string(&path).map_err(|source| ConfigError::SecretFile {
            variable: variable.clone(),
            path,
            source,
        })?;
        figment = figment.merge(Serialized::global(&key, secret.trim_end_matches(['\r', '\n'])));
    }
    for (key, value) in overrides {
        figment = figment.merge(Serialized::global(key, value));
    }
    Ok(figment)
}

fn is_secret_file(key: &str) -> bool {
    key.to_ascii_uppercase().ends_with("_FILE")
}
