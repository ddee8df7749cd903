//! Settings in environment variables, and in files that variables or keys name.

use figment::value::{Dict, Value};

use super::error::ConfigError;
use super::keys::key_of;
use super::origins::Origins;
use super::secret_files::SecretFile;
use crate::similar::most_similar;

/// The beginning of the variables with settings.
const PREFIX: &str = "THICKET__";

/// The variable with the path of the file.
const CONFIG: &str = "THICKET_CONFIG";

/// Other variables of this program and its tests.
const OTHERS: [&str; 7] = [
    CONFIG,
    "THICKET_BREAK",
    "THICKET_DATA",
    "THICKET_DATA_SET",
    "THICKET_FAULTS",
    "THICKET_FIRED",
    "THICKET_REVISION",
];

/// What is found while settings are read.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is wrong.
    pub(super) problems: Vec<ConfigError>,
    /// The files of secrets that were read.
    pub(super) secret_files: Vec<SecretFile>,
}

impl Found {
    /// Reads the file of a secret, such as `password`, that a key or a variable names.
    fn secret(&mut self, key: &str, path: &str, of: Option<&String>) -> Result<String, ConfigError> {
        let secret = std::fs::read_to_string(path).map_err(|source| ConfigError::SecretFile {
            key: key.to_owned(),
            path: path.to_owned(),
            source,
        })?;
        self.secret_files.extend(of.and_then(|of| SecretFile::of_secret(of, key, path)));
        Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Reads the settings of variables, and notes their origins. `defaults` are the shipped defaults: a
/// setting whose default is a text takes the text of the variable as it is.
pub(super) fn settings(
    variables: impl Iterator<Item = (String, String)>,
    defaults: &Dict,
    origins: &mut Origins,
    found: &mut Found,
) -> Dict {
    let mut settings = Dict::new();
    // A section is before its keys, which win.
    let mut variables: Vec<(String, String)> = variables.collect();
    variables.sort();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        let mut path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        let value = match secret_of(&path, defaults) {
            Some(of) => {
                path = of;
                match found.secret(&variable, &text, path.last()) {
                    Ok(secret) => Value::from(secret),
                    Err(problem) => {
                        found.problems.push(problem);
                        continue;
                    }
                }
            }
            None if matches!(default_of(&path, defaults), Some(Value::String(..))) => Value::from(text),
            None => text.parse().unwrap_or_else(|_| Value::from(text)),
        };
        let key = key_of("", &path);
        origins.note(key.clone(), variable.clone());
        match (section_of(&path, defaults), &value) {
            (None, _) | (Some(_), Value::Dict(..)) => insert(&mut settings, &path, value),
            (Some(section), _) => {
                let example = section.iter().find(|(_, value)| !matches!(value, Value::Dict(..)));
                let example = example.map_or_else(String::new, |(name, _)| name.to_uppercase());
                let problem = format!("is a section; name a key of it, such as {variable}__{example}");
                found.problems.push(ConfigError::Invalid { key, problem });
            }
        }
    }
    settings
}

/// Returns the keys of a section, or of a broker; `None` if the path does not lead to one with keys.
fn section_of<'d>(path: &[String], defaults: &'d Dict) -> Option<&'d Dict> {
    let is_index = |part: &String| part.parse::<usize>().is_ok();
    let path = path.iter().rposition(|part| !is_index(part)).map(|last| &path[..=last])?;
    default_of(path, defaults)?.as_dict().filter(|section| !section.is_empty())
}

/// Replaces each key of the file that names the file of a secret, such as `password_file`, by the key
/// of the secret. A file that cannot be read is a problem.
pub(super) fn read_secrets(keys: &mut Dict, defaults: &Dict, place: &str, found: &mut Found) {
    let names: Vec<String> = keys.keys().cloned().collect();
    for name in names {
        let key = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        // The keys of [[notify.routes]] have their defaults in [notify.route].
        let of_element = || name.strip_suffix('s').and_then(|element| defaults.get(element));
        let below = match (defaults.get(&name), of_element()) {
            (Some(Value::Dict(_, below)), _) | (Some(Value::Array(..)), Some(Value::Dict(_, below))) => below,
            _ => defaults,
        };
        match keys.get_mut(&name) {
            Some(Value::Dict(_, inner)) => read_secrets(inner, below, &key, found),
            Some(Value::Array(_, elements)) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    if let Value::Dict(_, inner) = element {
                        read_secrets(inner, below, &format!("{key}[{index}]"), found);
                    }
                }
            }
            Some(Value::String(_, path)) => {
                let Some(of) = secret_of(std::slice::from_ref(&name), defaults) else { continue };
                let secret = found.secret(&key, path, of.last());
                let of = of.concat();
                keys.remove(&name);
                match secret {
                    Ok(_) if keys.contains_key(&of) => {
                        let problem = format!("{of} is set too; say it once");
                        found.problems.push(ConfigError::Invalid { key, problem });
                    }
                    Ok(secret) => drop(keys.insert(of, Value::from(secret))),
                    Err(problem) => found.problems.push(problem),
                }
            }
            _ => {}
        }
    }
}

/// Whether Kubernetes sets a variable of this name for a service called `thicket`.
fn is_service_link(name: &str) -> bool {
    let rest = name.trim_start_matches("THICKET_");
    rest == "PORT" || rest.starts_with("PORT_") || rest == "SERVICE_HOST" || rest.starts_with("SERVICE_PORT")
}

/// Returns a warning for each variable that looks like a setting and is none.
pub(crate) fn unknown_variables(variables: impl Iterator<Item = String>, known: &[String]) -> Vec<String> {
    let is_unknown = |name: &String| {
        name.starts_with("THICKET_")
            && !name.starts_with(PREFIX)
            && !OTHERS.contains(&name.as_str())
            && !is_service_link(name)
    };
    let settings: Vec<String> =
        known.iter().map(|key| format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())).collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain([CONFIG]).collect();
    let warning = |name: String| {
        let meant = most_similar(&name, &settings);
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        format!("the environment variable {name} is no setting{meant}")
    };
    variables.filter(is_unknown).map(warning).collect()
}

/// Returns the path of the secret that a path names the file of: `mqtt.password` for
/// `mqtt.password_file`. `None` if there is no such text, or if the path is a key itself.
fn secret_of(path: &[String], defaults: &Dict) -> Option<Vec<String>> {
    let stem = path.last()?.strip_suffix("_file")?;
    let mut secret = path.to_vec();
    stem.clone_into(secret.last_mut()?);
    let is_text = matches!(default_of(&secret, defaults), Some(Value::String(..)));
    (is_text && default_of(path, defaults).is_none()).then_some(secret)
}

/// Returns the default of a key. The index of a broker does not matter.
fn default_of<'d>(path: &[String], defaults: &'d Dict) -> Option<&'d Value> {
    let [first, rest @ ..] = path else { return None };
    if first.parse::<usize>().is_ok() {
        return default_of(rest, defaults);
    }
    match (defaults.get(first)?, rest) {
        (value, []) => Some(value),
        (Value::Dict(_, inner), rest) => default_of(rest, inner),
        _ => None,
    }
}

fn insert(keys: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => drop(keys.insert(name.clone(), value)),
        [name, rest @ ..] => {
            let inner = keys.entry(name.clone()).or_insert_with(|| Dict::new().into());
            if !matches!(inner, Value::Dict(..)) {
                *inner = Dict::new().into();
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
