//! Merges the keys of a subscription with those of its preset and its broker.

use figment::value::{Dict, Value};

use super::messages::MessageConfig;
use crate::config::error::{ConfigError, and_independent};
use crate::config::extract::{extract_partly, merged};
use crate::presets;

/// Merges the own keys of a subscription over those of its preset and of its broker. A preset can
/// stand for several subscriptions.
pub(super) fn merge(
    broker: &MessageConfig,
    own: &Dict,
    place: &str,
) -> Result<Vec<MessageConfig>, ConfigError> {
    let (merged, problems) = merge_partly(broker, own, place);
    if problems.is_empty() { Ok(merged) } else { Err(ConfigError::Several(problems)) }
}

/// Merges keys like [`merge`], as far as they can be read, and returns the problems.
pub(super) fn merge_partly(
    broker: &MessageConfig,
    own: &Dict,
    place: &str,
) -> (Vec<MessageConfig>, Vec<ConfigError>) {
    let preset = own.get("preset").and_then(Value::as_str).filter(|preset| !preset.is_empty());
    let presets = preset.map_or_else(|| Ok(vec![Dict::new()]), presets::subscriptions_of);
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    let presets = presets.unwrap_or_else(|error| {
        problems.push(ConfigError::invalid(&format!("{place}.preset"), &error.to_string()));
        vec![Dict::new()]
    });
    let broker = match Value::serialize(broker) {
        Ok(broker) => broker.into_dict().unwrap_or_default(),
        Err(error) => return (Vec::new(), vec![ConfigError::invalid(place, &error.to_string())]),
    };
    for preset in presets {
        let (read, found) = extract_partly(&merged(&broker, &preset), own.clone(), place, &[]);
        all.extend(read);
        problems = and_all(problems, Err(ConfigError::Several(found)));
    }
    if preset.is_none() && !own.contains_key("topics") {
        let missing = ConfigError::invalid(&format!("{place}.topics"), "name the topic filters, or a preset");
        problems = and_all(problems, Err(missing));
    }
    (all, problems)
}

/// Returns the problems that [`and_independent`] joins.
fn and_all(known: Vec<ConfigError>, found: Result<(), ConfigError>) -> Vec<ConfigError> {
    and_independent(known, found).err().map(ConfigError::into_all).unwrap_or_default()
}

/// Merges the keys of a subscription that is not in the configuration yet.
pub(crate) fn merge_subscription(
    broker: &MessageConfig,
    own: &Dict,
) -> Result<Vec<MessageConfig>, ConfigError> {
    merge(broker, own, "mqtt.subscriptions")
}
