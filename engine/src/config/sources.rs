//! Where the configuration comes from.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};

use super::Config;

const DEFAULTS: &str = include_str!("default.toml");
const PREFIX: &str = "THICKET__";
/// Read if it is there and no other file is named.
pub(crate) const DEFAULT_FILE: &str = "thicket.toml";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A key's value, in the words of the user.
    #[error("{key}: {problem}")]
    Invalid {
        /// Which key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The sources do not fit together or do not parse.
    #[error("{0}")]
    Source(String),
    /// A file that was named is not there.
    #[error("the configuration file {0} cannot be read")]
    NoFile(PathBuf),
    /// A secret's file cannot be read.
    #[error("{variable} names {path}, which cannot be read: {source}")]
    SecretFile {
        /// The environment variable.
        variable: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ConfigError {
    pub(super) fn invalid(key: &str, problem: &str) -> Self {
        Self::Invalid { key: key.to_owned(), problem: problem.to_owned() }
    }
}

/// What the command line sets, as key and value.
pub(crate) type Overrides = Vec<(&'static str, String)>;

/// Reads the configuration from all its sources. `file`: a file that must be there; else `thicket.toml` where there is one.
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
        ConfigError::Source(errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("; "))
    })?;
    config.validate()?;
    Ok(config)
}

fn is_secret_file(key: &str) -> bool {
    key.to_ascii_uppercase().ends_with("_FILE")
}
