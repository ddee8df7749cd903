//! The names of keys, as messages show them.

use figment::value::Value;
use serde::Serialize;

/// Returns the keys that have values, such as `mqtt.tls.ca`.
pub(crate) fn keys_of(keys: &impl Serialize) -> Vec<String> {
    fn add(all: &mut Vec<String>, place: &str, value: &Value) {
        match value {
            Value::Dict(_, keys) => keys.iter().for_each(|(name, value)| {
                add(all, &if place.is_empty() { name.clone() } else { format!("{place}.{name}") }, value);
            }),
            _ => all.push(place.to_owned()),
        }
    }
    let mut all = Vec::new();
    if let Ok(value) = Value::serialize(keys) {
        add(&mut all, "", &value);
    }
    all
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
