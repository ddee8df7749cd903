//! Reads the configuration from its sources.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use figment::value::Dict;

use super::environment::{self, Found};
use super::error::{ConfigError, and_independent};
use super::extract::{extract_partly, merged};
use super::keys::keys_of;
use super::mqtt::{Layers, brokers};
use super::origins::Origins;
use super::paths;
use super::problems::ConfigProblems;
use super::root::Config;
use super::secret_files::{self, SecretFile};
use super::sections::HttpConfig;
use crate::toml_keys::{Parsed, keys_of_toml, parse, readable_keys};

const DEFAULTS: &str = include_str!("default.toml");
/// The configuration file if the command line names none.
pub(crate) const DEFAULT_FILE: &str = "thicket.toml";

/// The section of the server that `thicket ready` asks.
const HTTP: &str = "http";

/// The settings of the command line, as key and value.
pub(crate) type Overrides = Vec<(&'static str, String)>;

/// A configuration, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// The origin of each key.
    pub(crate) origins: Origins,
    /// The files with secrets that it names.
    pub(crate) secret_files: Vec<SecretFile>,
}

/// Reads the configuration from all its sources. `file` must exist if it is given; otherwise
/// `thicket.toml` is read if it exists.
///
/// # Errors
/// Returns every problem that can be found, each with its place.
pub(crate) fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, ConfigProblems> {
    load_from(file, variables(), overrides)
}

/// Reads the configuration like [`load`], with these environment variables.
pub(super) fn load_from(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Loaded, ConfigProblems> {
    let mut origins = Origins::default();
    match read(file, variables, overrides, &mut origins) {
        Ok((config, mut secret_files)) => {
            secret_files.extend(secret_files::of_paths(&config));
            Ok(Loaded { config, origins, secret_files })
        }
        Err(error) => Err(ConfigProblems::locate(error, &origins)),
    }
}

/// Reads as much of `[http]` as can be read, and nothing else. An engine goes on with its
/// configuration while its file has mistakes, and can still be asked how it is.
///
/// # Errors
/// Fails if a named file cannot be read.
pub(crate) fn load_http(file: Option<&Path>) -> Result<HttpConfig, ConfigProblems> {
    let mut origins = Origins::default();
    read_http(file, variables(), &mut origins).map_err(|error| ConfigProblems::locate(error, &origins))
}

pub(super) fn read_http(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    origins: &mut Origins,
) -> Result<HttpConfig, ConfigError> {
    let defaults = defaults()?;
    let mut of_file = Dict::new();
    if let Some((path, text)) = text_of(file)? {
        of_file = readable_keys(&text);
        of_file.retain(|section, _| section == HTTP);
        paths::resolve(&mut of_file, folder_of(&path));
        environment::read_secrets(&mut of_file, &defaults, "", &mut Found::default());
    }
    let above = environment::settings(variables, &defaults, origins, &mut Found::default());
    let section = |keys: &Dict| keys.get(HTTP).and_then(|keys| keys.as_dict().cloned()).unwrap_or_default();
    let (http, problems) = extract_partly(&section(&defaults), section(&merged(&of_file, &above)), HTTP, &[]);
    http.ok_or(ConfigError::Several(problems))
}

/// Returns the keys of the shipped defaults that have a value.
pub(crate) fn default_keys() -> Vec<String> {
    keys_of(&defaults().unwrap_or_default())
}

/// Returns the shipped defaults as text.
pub(crate) const fn default_text() -> &'static str {
    DEFAULTS
}

/// Returns the configuration, and the files of secrets that were read for it.
fn read(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
    origins: &mut Origins,
) -> Result<(Config, Vec<SecretFile>), ConfigError> {
    let defaults = defaults()?;
    let (mut of_file, problems) = match text_of(file)? {
        None => (Dict::new(), Vec::new()),
        Some((path, text)) => {
            let Parsed { mut keys, lines, problems } = parse(&path.display().to_string(), &text)?;
            paths::resolve(&mut keys, folder_of(&path));
            *origins = Origins::of_file(path, lines);
            let problems = problems.into_iter();
            (keys, problems.map(|(key, problem)| ConfigError::Invalid { key, problem }).collect())
        }
    };
    let mut found = Found { problems, secret_files: Vec::new() };
    environment::read_secrets(&mut of_file, &defaults, "", &mut found);
    let mut above = environment::settings(variables, &defaults, origins, &mut found);
    let Found { mut problems, secret_files } = found;
    for (key, value) in overrides {
        let flag = if key.starts_with("log.") { key.replace('.', "-") } else { key.replace(".url", "") };
        origins.note((*key).to_owned(), format!("--{flag}"));
        above = merged(&above, &Figment::from(Serialized::global(key, value)).extract().unwrap_or_default());
    }
    let (brokers, of_brokers) = brokers(&Layers { defaults: &defaults, file: &of_file, above: &above });
    let mut keys = merged(&of_file, &above);
    // Read by `brokers`.
    keys.remove("mqtt");
    let (config, of_keys) = extract_partly::<Config>(&defaults, keys, "", &[]);
    problems.extend(of_brokers.into_iter().chain(of_keys));
    let Some(mut config) = config else { return Err(ConfigError::Several(problems)) };
    config.mqtt = brokers;
    and_independent(problems, config.validate())?;
    Ok((config, secret_files))
}

fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Returns the path and the text of the file; `None` if no file is named and there is no
/// `thicket.toml`.
fn text_of(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let path = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::NoFile { path: path.to_owned(), source }),
    }
}

/// Returns the folder in which the relative paths of a configuration file begin.
fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}

/// Returns the keys of the shipped defaults. A test reads them.
fn defaults() -> Result<Dict, ConfigError> {
    Ok(keys_of_toml("default.toml", DEFAULTS)?)
}
