//! `compose.yaml`, as Compose sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

/// Returns the composition after merges and with the defaults of its variables, as Compose sees it
/// without an environment.
pub(crate) fn composition() -> Value {
    let text = read("compose.yaml");
    let (text, _) = interpolate(&text);
    serde_saphyr::from_str(&text).unwrap()
}

pub(crate) fn services(composition: &Value) -> Vec<(&str, &Value)> {
    let services = composition["services"].as_object().unwrap();
    services.iter().map(|(name, service)| (name.as_str(), service)).collect()
}

pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Replaces `${NAME:-default}`. Returns the text and the defaults of each name. Panics at a
/// variable without a default, unless it is required (`${NAME:?message}`) here or before.
pub(crate) fn interpolate(text: &str) -> (String, BTreeMap<String, BTreeSet<String>>) {
    let mut result = String::new();
    let mut defaults: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut required = BTreeSet::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}').unwrap();
        result.push_str(before);
        if let Some((name, default)) = variable.split_once(":-") {
            defaults.entry(name.to_owned()).or_default().insert(default.to_owned());
            result.push_str(default);
        } else {
            let (name, message) = variable.split_once(":?").unwrap_or((variable, ""));
            let first = required.insert(name.to_owned());
            assert!(first != message.is_empty(), "{name} has no default");
            result.push_str("given");
        }
        rest = after;
    }
    result.push_str(rest);
    (result, defaults)
}
