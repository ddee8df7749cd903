//! Puts the keys of a broker together: the shipped defaults, those of its preset, and its own.

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::broker::BrokerConfig;
use super::config::MqttConfig;
use crate::config::error::ConfigError;

/// The sources of the configuration.
pub(in crate::config) struct Layers<'l> {
    /// The shipped defaults.
    pub(in crate::config) defaults: &'l Figment,
    /// The configuration file.
    pub(in crate::config) file: &'l Figment,
    /// Environment variables and flags, which win over the file.
    pub(in crate::config) above: &'l Figment,
}

/// Returns the brokers: one for `[mqtt]`, and one for each `[[mqtt]]`.
pub(in crate::config) fn brokers(layers: &Layers<'_>) -> Result<Vec<MqttConfig>, ConfigError> {
    let Layers { defaults, file, above } = *layers;
    let Ok(Value::Array(_, elements)) = file.find_value("mqtt") else {
        let own = file.clone().merge(above);
        return Ok(vec![extract(defaults, &own, "mqtt")?]);
    };
    let count = elements.len();
    if count == 0 {
        return Err(ConfigError::invalid("mqtt", "must have at least one broker"));
    }
    let above = match above.find_value("mqtt") {
        Ok(Value::Dict(_, above)) => above,
        _ => Dict::new(),
    };
    let for_index = |key: &String| key.parse().is_ok_and(|index: usize| index < count);
    if let Some(key) = above.keys().find(|key| count > 1 && !for_index(key)) {
        let variable = key.to_uppercase();
        let problem = format!(
            "is set by an environment variable or a flag, but the file has {count} brokers; name one by its place in the file, from 0: THICKET__MQTT__0__{variable}"
        );
        return Err(ConfigError::invalid(&format!("mqtt.{key}"), &problem));
    }
    let broker = |(index, element): (usize, Value)| {
        let place = format!("mqtt[{index}]");
        let mut own = Figment::from(Serialized::default("mqtt", &element));
        match above.get(&index.to_string()) {
            Some(of_index) => own = own.merge(Serialized::default("mqtt", of_index)),
            None if count == 1 => own = own.merge(Serialized::default("mqtt", &above)),
            None => {}
        }
        extract(defaults, &own, &place)
    };
    elements.into_iter().enumerate().map(broker).collect()
}

/// Merges the own keys of a broker over the defaults. A preset of the broker is one of a
/// subscription with the broker's own keys.
fn extract(defaults: &Figment, own: &Figment, place: &str) -> Result<MqttConfig, ConfigError> {
    let mut keys: Dict = own.extract_inner("mqtt").unwrap_or_default();
    let has_subscriptions = keys.contains_key("subscriptions");
    let preset = keys.get("preset").and_then(Value::as_str).is_some_and(|preset| !preset.is_empty());
    for key in ["preset", "topics"] {
        if has_subscriptions && keys.contains_key(key) {
            let problem = "move it to the subscriptions: a broker with subscriptions has no other";
            return Err(ConfigError::invalid(&format!("{place}.{key}"), problem));
        }
    }
    let own = if preset {
        let subscription: Dict =
            keys.extract_if(.., |key, _| !BrokerConfig::KEYS.contains(&key.as_str())).collect();
        keys.insert("subscriptions".to_owned(), vec![Value::from(subscription)].into());
        &Figment::from(Serialized::default("mqtt", &keys))
    } else {
        own
    };
    let merged = defaults.clone().merge(own);
    let config =
        merged.extract_inner::<MqttConfig>("mqtt").map_err(|error| ConfigError::source(error, place))?;
    Ok(MqttConfig { place: place.to_owned(), ..config })
}
