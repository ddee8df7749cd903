//! Merges the keys of a subscription with those of its preset and its broker.

use figment::value::{Dict, Value};

use super::messages::MessageConfig;
use crate::config::error::ConfigError;
use crate::config::extract::{extract, merged};
use crate::presets;

/// Merges the own keys of a subscription over those of its preset and of its broker. A preset can
/// stand for several subscriptions.
pub(super) fn merge(
    broker: &MessageConfig,
    own: &Dict,
    place: &str,
) -> Result<Vec<MessageConfig>, ConfigError> {
    let preset = own.get("preset").and_then(Value::as_str).filter(|preset| !preset.is_empty());
    let presets = match preset {
        Some(preset) => presets::subscriptions_of(preset)
            .map_err(|error| ConfigError::invalid(&format!("{place}.preset"), &error.to_string()))?,
        None if own.contains_key("topics") => vec![Dict::new()],
        None => {
            let key = format!("{place}.topics");
            return Err(ConfigError::invalid(&key, "name the topic filters, or a preset"));
        }
    };
    let invalid = |error: figment::Error| ConfigError::invalid(place, &error.to_string());
    let broker = Value::serialize(broker).map_err(invalid)?.into_dict().unwrap_or_default();
    let read = |preset: Dict| extract(&merged(&broker, &preset), own.clone(), place);
    presets.into_iter().map(read).collect()
}

/// Merges the keys of a subscription that is not in the configuration yet.
pub(crate) fn merge_subscription(
    broker: &MessageConfig,
    own: &Dict,
) -> Result<Vec<MessageConfig>, ConfigError> {
    merge(broker, own, "mqtt.subscriptions")
}
