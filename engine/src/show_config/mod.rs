//! `thicket config`: the effective configuration, with the origin of each value and without secrets.

mod args;
mod keys;
mod toml_text;

use std::process::ExitCode;

pub(crate) use args::ConfigArgs;
use serde_json::{Map, Value, json};
use thicket_connect::with_hidden_password;

use crate::config::{self, Loaded, is_secret};
use crate::terminal::{out, write_json};
use keys::{has_headings, join};
use toml_text::TomlText;

/// The origin of a value that no source sets.
const DEFAULT: &str = "default";

/// The text that is shown instead of a secret.
pub(crate) const HIDDEN: &str = "***";

/// Prints the shipped defaults.
pub(crate) fn print_defaults() -> ExitCode {
    out!("{}", config::default_text());
    ExitCode::SUCCESS
}

/// Returns the values that a source sets as TOML. [`HIDDEN`] stands for each secret.
///
/// A value that is set to the default is among them, so that an export keeps it when a later version has
/// another default.
pub(crate) fn changed_text(loaded: &Loaded) -> anyhow::Result<String> {
    let origin_of = |key: &str| origin_of(loaded, key);
    Ok(TomlText { origin_of: &origin_of, is_shown: &|origin| origin != DEFAULT }.of(&shown_values(loaded)?))
}

fn origin_of(loaded: &Loaded, key: &str) -> String {
    loaded.origins.place_of_value(key).unwrap_or_else(|| DEFAULT.to_owned())
}

/// Returns the effective configuration without its secrets.
fn shown_values(loaded: &Loaded) -> anyhow::Result<Value> {
    let mut all = serde_json::to_value(&loaded.config)?;
    let places: Vec<String> = loaded.config.mqtt.iter().map(|mqtt| mqtt.place().to_owned()).collect();
    // `[mqtt]` rather than `[[mqtt]]`, as the user wrote it.
    if let ([place], Some(sections)) = (places.as_slice(), all.as_object_mut())
        && place == "mqtt"
        && let Some(Value::Array(brokers)) = sections.get_mut("mqtt")
        && let Some(broker) = brokers.pop()
    {
        sections.insert("mqtt".to_owned(), broker);
    }
    hide_secrets(&mut all);
    let brokers = match all.get_mut("mqtt") {
        Some(Value::Array(brokers)) => brokers.iter_mut().collect(),
        broker => broker.into_iter().collect::<Vec<_>>(),
    };
    brokers.into_iter().for_each(drop_own_topics);
    Ok(all)
}

/// Prints the effective configuration.
pub(crate) fn show(loaded: &Loaded, args: ConfigArgs) -> anyhow::Result<ExitCode> {
    let all = shown_values(loaded)?;
    let origin_of = |key: &str| origin_of(loaded, key);
    let is_shown = |origin: &str| !args.changed || origin != DEFAULT;
    if args.json {
        let mut values = Map::new();
        add_values(&mut values, "", &all, &|key, value| {
            let origin = origin_of(key);
            is_shown(&origin).then(|| json!({ "value": value, "origin": origin }))
        });
        write_json(&serde_json::to_string(&values)?);
    } else {
        out!("{}", TomlText { origin_of: &origin_of, is_shown: &is_shown }.of(&all));
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the keys that a broker with subscriptions may not have.
fn drop_own_topics(broker: &mut Value) {
    let has_subscriptions = broker["subscriptions"].as_array().is_some_and(|all| !all.is_empty());
    if let (true, Some(keys)) = (has_subscriptions, broker.as_object_mut()) {
        keys.remove("topics");
        keys.remove("preset");
    }
}

/// Hides passwords, also those in URLs, the headers of webhooks, and the paths of their URLs, which
/// are often secret.
fn hide_secrets(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(hide_secrets),
        Value::Object(keys) => {
            for (key, value) in keys {
                match value {
                    Value::String(text) if key == "url" && !text.is_empty() => {
                        *text = with_hidden_path(&with_hidden_password(text));
                    }
                    Value::Object(headers) if key == "headers" => {
                        headers.values_mut().for_each(|value| *value = HIDDEN.into());
                    }
                    Value::String(text) if is_secret(key) && !text.is_empty() => HIDDEN.clone_into(text),
                    value => hide_secrets(value),
                }
            }
        }
        _ => {}
    }
}

/// Hides the path of the URL of a webhook.
fn with_hidden_path(url: &str) -> String {
    let path = ["http://", "https://"].iter().find_map(|scheme| {
        let rest = url.strip_prefix(scheme)?;
        Some(scheme.len() + rest.find('/')? + 1)
    });
    path.map_or_else(|| url.to_owned(), |path| format!("{}{HIDDEN}", &url[..path]))
}

/// Adds every value by its whole key.
fn add_values(
    values: &mut Map<String, Value>,
    table: &str,
    keys: &Value,
    shown: &dyn Fn(&str, &Value) -> Option<Value>,
) {
    for (name, value) in keys.as_object().into_iter().flatten() {
        let key = join(table, name);
        match value {
            Value::Object(inner) if !inner.is_empty() => add_values(values, &key, value, shown),
            Value::Array(elements) if has_headings(name) && !elements.is_empty() => {
                for (index, element) in elements.iter().enumerate() {
                    add_values(values, &format!("{key}[{index}]"), element, shown);
                }
            }
            value => {
                if let Some(shown) = shown(&key, value) {
                    values.insert(key, shown);
                }
            }
        }
    }
}
