//! Merges the keys of a subscription with those of its preset and its broker.

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::messages::MessageConfig;
use crate::config::error::ConfigError;
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
    let merged = |preset: Dict| {
        let keys = Figment::from(Serialized::defaults(broker))
            .merge(Serialized::defaults(preset))
            .merge(Serialized::defaults(own));
        keys.extract().map_err(|error| ConfigError::source(error, place))
    };
    presets.into_iter().map(merged).collect()
}

/// Merges the keys of a subscription that is not in the configuration yet.
pub(crate) fn merge_subscription(
    broker: &MessageConfig,
    own: &Dict,
) -> Result<Vec<MessageConfig>, ConfigError> {
    merge(broker, own, "mqtt.subscriptions")
}
