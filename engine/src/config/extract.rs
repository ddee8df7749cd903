//! Reads keys into a struct, and reports every key that is unknown or has a wrong type, not only the
//! first.

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::error::ConfigError;
use super::keys::{key_of, keys_of};
use crate::similar::{most_similar, suggestion};

/// Maximum number of keys of other sections that an unknown section may have meant.
const MAX_ELSEWHERE: usize = 3;

/// What the standard library says of a text that is no address.
const NO_ADDRESS: &str = "invalid socket address syntax";
/// What an address must be.
const ADDRESS: &str = "an IP address and a port, such as \"127.0.0.1:9464\"";

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
            let expected = match &error.kind {
                Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                    let is_enum = expected.starts_with("enum ");
                    let variants = if is_enum { variants_of::<T>(defaults, &own, &path) } else { None };
                    variants.map_or_else(|| in_plain_words(expected).to_owned(), one_of)
                }
                _ => String::new(),
            };
            let mut problem = match &error.kind {
                Kind::UnknownField(name, known) => {
                    // A table within the struct has no siblings.
                    let siblings = if path.len() == 1 { siblings } else { &[] };
                    let known: Vec<&str> = known.iter().chain(siblings).copied().collect();
                    let is_section = path.len() == 1 && place.is_empty();
                    let meant = meant_by(name, &known, is_section.then_some(defaults));
                    let known = known.into_iter().map(str::to_owned).collect();
                    ConfigError::Unknown { key: key_of(place, &path), meant, known }
                }
                kind => problem_of(kind, &expected, &path, place),
            };
            if let ConfigError::Invalid { problem, .. } = &mut problem
                && matches!(&error.kind, Kind::Message(text) if text == NO_ADDRESS)
            {
                let value = value_mut(&mut own, &path).and_then(|value| value.as_str()).unwrap_or_default();
                *problem = format!("is {value:?}, but must be {ADDRESS}");
            }
            problems.push(problem);
            if !remove(&mut own, &path) {
                return (None, problems);
            }
        }
        if problems.len() == before {
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

/// Removes a key, also of a table in an array. If the path leads to an element of an array, removes
/// the key of the array.
fn remove(keys: &mut Dict, path: &[String]) -> bool {
    let [first, rest @ ..] = path else { return false };
    let is_removed = match (keys.get_mut(first), rest) {
        (Some(Value::Dict(_, inner)), rest) => remove(inner, rest),
        (Some(Value::Array(_, elements)), [index, rest @ ..]) => {
            let element = index.parse().ok().and_then(|index: usize| elements.get_mut(index));
            if let Some(Value::Dict(_, inner)) = element { remove(inner, rest) } else { false }
        }
        _ => false,
    };
    if is_removed {
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

/// Returns the value of a key, or of an element of an array, to change it.
fn value_mut<'k>(keys: &'k mut Dict, path: &[String]) -> Option<&'k mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(keys.get_mut(first)?, |value, part| match value {
        Value::Dict(_, inner) => inner.get_mut(part),
        Value::Array(_, elements) => elements.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Returns the texts that a key can have: reads it again with a text that is none of them.
fn variants_of<T: DeserializeOwned>(
    defaults: &Dict,
    own: &Dict,
    path: &[String],
) -> Option<&'static [&'static str]> {
    let mut own = own.clone();
    *value_mut(&mut own, path)? = Value::from("");
    let keys = Figment::from(Serialized::defaults(defaults)).merge(Serialized::defaults(&own));
    keys.extract::<T>().err()?.into_iter().find_map(|error| match error.kind {
        Kind::UnknownVariant(_, known) if error.path == path => Some(known),
        _ => None,
    })
}

fn one_of(variants: &[&str]) -> String {
    format!("one of {}", variants.join(", "))
}

/// Returns the key that an unknown one means: the most similar one of its section, or else keys of
/// other sections with its name, such as `postgres.retention` for a section `[retention]`.
fn meant_by(name: &str, known: &[&str], sections: Option<&Dict>) -> Vec<String> {
    if let Some(similar) = most_similar(name, known) {
        return vec![similar.to_owned()];
    }
    let name = name.to_lowercase();
    let keys = sections.map(keys_of).unwrap_or_default();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let named = |is_meant: &dyn Fn(&str) -> bool| -> Vec<String> {
        keys.iter().filter(|key| is_meant(&last(key))).cloned().collect()
    };
    let same = named(&|last| last == name);
    let found = if same.is_empty() { named(&|last| last.split('_').any(|word| word == name)) } else { same };
    if found.len() <= MAX_ELSEWHERE { found } else { Vec::new() }
}

/// Says what a value must be, in the words of a user instead of those of Rust.
fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a duration" => "a duration with a unit, such as \"5ms\" or \"4s\"",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "a text in quotes",
        "a sequence" => "a list",
        "a map" => "a section",
        "socket address" => ADDRESS,
        struct_or_enum if struct_or_enum.starts_with("struct ") => "a section",
        struct_or_enum if struct_or_enum.starts_with("enum ") => "one of its texts",
        other => other,
    }
}

fn problem_of(kind: &Kind, expected: &str, path: &[String], place: &str) -> ConfigError {
    let is_secret = path.last().is_some_and(|key| SECRETS.contains(&key.as_str()));
    let problem = match kind {
        Kind::UnknownVariant(name, known) => {
            format!("{name:?} is none of {}{}", known.join(", "), suggestion(name, known))
        }
        Kind::InvalidType(..) | Kind::InvalidValue(..) if is_secret => {
            format!("must be {expected}")
        }
        Kind::InvalidType(actual, _) | Kind::InvalidValue(actual, _) => {
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
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a section".to_owned(),
        other => other.to_string(),
    }
}
