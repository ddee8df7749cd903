//! Reads the configuration from its sources.

use std::path::Path;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Serialized, Toml};

use super::error::ConfigError;
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
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    figment = match file {
        Some(path) if !path.is_file() => return Err(ConfigError::NoFile(path.to_owned())),
        Some(path) => figment.merge(Toml::file_exact(path)),
        None => figment.merge(Toml::file(DEFAULT_FILE)),
    };
    figment = figment.merge(Env::prefixed(PREFIX).filter(|key| !is_secret_file(key.as_str())).split("__"));
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
    let config: Config = figment.extract().map_err(|errors| {
        ConfigError::Source(errors.into_iter().map(without_secrets).collect::<Vec<_>>().join("; "))
    })?;
    config.validate()?;
    Ok(config)
}

/// Returns the text of an error without the value of a password or of a URL, and without the lines
/// of the file that the parser quotes.
fn without_secrets(mut error: figment::Error) -> String {
    let is_secret = error.path.last().is_some_and(|key| key == "password" || key == "url");
    error.kind = match error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_secret => {
            Kind::Message(format!("the value is not {expected} (a number needs quotes)"))
        }
        Kind::Message(text) => {
            let is_quoted = |line: &&str| {
                line.trim_start_matches(|letter: char| letter == ' ' || letter.is_ascii_digit())
                    .starts_with('|')
            };
            let lines: Vec<&str> = text.lines().filter(|line| !is_quoted(line)).collect();
            Kind::Message(lines.join(" "))
        }
        kind => kind,
    };
    error.to_string()
}

fn is_secret_file(key: &str) -> bool {
    key.to_ascii_uppercase().ends_with("_FILE")
}
