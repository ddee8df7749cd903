//! Reads keys into a struct, and reports every key that is unknown or has a wrong type, not only the
//! first.

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::error::{ConfigError, did_you_mean, suggestion};

/// Maximum number of problems that one read reports.
const MAX_PROBLEMS: usize = 50;

/// Keys whose values must not be shown.
const SECRETS: [&str; 3] = ["password", "token", "url"];

/// What could be read, and the problems. `None` if nothing could be read. A key with a problem has its
/// default.
pub(super) type Partly<T> = (Option<T>, Vec<ConfigError>);

/// Reads `own` merged over `defaults`. `place` is where the keys of `own` are, such as `mqtt[1]`;
/// empty for the root.
///
/// # Errors
/// Returns one [`ConfigError::Several`] with every problem.
pub(super) fn extract<T: DeserializeOwned>(
    defaults: &Dict,
    own: Dict,
    place: &str,
) -> Result<T, ConfigError> {
    match extract_partly(defaults, own, place, &[]) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (_, problems) => Err(ConfigError::Several(problems)),
    }
}

/// Reads keys like [`extract`], as many as possible: each key with a problem is left out, and the keys
/// are read again, until the rest can be read. `siblings` are keys that another struct reads: an
/// unknown key may have been meant to be one of them.
pub(super) fn extract_partly<T: DeserializeOwned>(
    defaults: &Dict,
    mut own: Dict,
    place: &str,
    siblings: &[&str],
) -> Partly<T> {
    let mut problems = Vec::new();
    loop {
        let keys = Figment::from(Serialized::defaults(defaults)).merge(Serialized::defaults(&own));
        let error = match keys.extract::<T>() {
            Ok(value) => return (Some(value), problems),
            Err(error) => error,
        };
        let before = problems.len();
        for error in error {
            let path = path_of(&error);
            problems.push(problem_of(&error.kind, &path, place, siblings));
            if !remove(&mut own, &path) {
                return (None, problems);
            }
        }
        if problems.len() == before || problems.len() > MAX_PROBLEMS {
            return (None, problems);
        }
    }
}

/// Returns the path of the key that an error is about.
fn path_of(error: &figment::Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    path
}

/// Removes a key. If the path leads into an array, removes the key of the array.
fn remove(keys: &mut Dict, path: &[String]) -> bool {
    let [first, rest @ ..] = path else { return false };
    if let Some(Value::Dict(_, inner)) = keys.get_mut(first)
        && remove(inner, rest)
    {
        return true;
    }
    keys.remove(first).is_some()
}

/// Merges keys over others. Tables are merged key by key.
pub(super) fn merged(below: &Dict, above: &Dict) -> Dict {
    let mut keys = below.clone();
    for (name, value) in above {
        let merged = match (keys.get(name), value) {
            (Some(Value::Dict(_, below)), Value::Dict(_, above)) => Value::from(merged(below, above)),
            _ => value.clone(),
        };
        keys.insert(name.clone(), merged);
    }
    keys
}

/// Joins a place and a path: `detectors[0]` and `points` are `detectors[0].points`.
pub(super) fn key_of(place: &str, path: &[String]) -> String {
    let mut key = place.to_owned();
    for part in path {
        if part.parse::<usize>().is_ok() {
            key.extend(["[", part, "]"]);
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(part);
        }
    }
    key
}

fn problem_of(kind: &Kind, path: &[String], place: &str, siblings: &[&str]) -> ConfigError {
    let is_secret = path.last().is_some_and(|key| SECRETS.contains(&key.as_str()));
    let problem = match kind {
        Kind::UnknownField(name, known) => {
            let known: Vec<&str> = known.iter().chain(siblings).copied().collect();
            format!("unknown key{}", did_you_mean(name, &known))
        }
        Kind::UnknownVariant(name, known) => {
            format!("{name:?} is none of {}{}", known.join(", "), suggestion(name, known))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_secret => {
            format!("is not {expected} (a number needs quotes)")
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let expected = if expected == "a duration" {
                "a duration with a unit, such as \"5ms\" or \"4s\""
            } else {
                expected
            };
            format!("is {}, but must be {expected}", shown(actual))
        }
        Kind::Message(text) => text.clone(),
        other => other.to_string(),
    };
    ConfigError::Invalid { key: key_of(place, path), problem }
}

/// Shows a value in the words of TOML.
fn shown(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "an array".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
