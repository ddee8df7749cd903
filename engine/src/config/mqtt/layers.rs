//! Puts the keys of a broker together: the shipped defaults, those of its preset, and its own.

use figment::value::{Dict, Value};

use super::broker::BrokerConfig;
use super::config::MqttConfig;
use crate::config::error::ConfigError;
use crate::config::extract::{Partly, merged};

/// The sources of the configuration.
pub(in crate::config) struct Layers<'l> {
    /// The shipped defaults.
    pub(in crate::config) defaults: &'l Dict,
    /// The configuration file.
    pub(in crate::config) file: &'l Dict,
    /// Environment variables and flags, which win over the file.
    pub(in crate::config) above: &'l Dict,
}

/// Returns the brokers, one for `[mqtt]`, and one for each `[[mqtt]]`, as far as they can be read, and
/// the problems.
pub(in crate::config) fn brokers(layers: &Layers<'_>) -> (Vec<MqttConfig>, Vec<ConfigError>) {
    let Layers { defaults, file, above } = *layers;
    let defaults = dict_of(defaults, "mqtt");
    let above = dict_of(above, "mqtt");
    let elements = match file.get("mqtt") {
        Some(Value::Array(_, elements)) => elements,
        None | Some(Value::Dict(..)) => {
            let own = merged(&dict_of(file, "mqtt"), &above);
            let (broker, problems) = read(&defaults, own, "mqtt");
            return (broker.into_iter().collect(), problems);
        }
        Some(_) => {
            let problem = ConfigError::invalid("mqtt", "must be a table: write [mqtt] or [[mqtt]]");
            return (Vec::new(), vec![problem]);
        }
    };
    let count = elements.len();
    if count == 0 {
        return (Vec::new(), vec![ConfigError::invalid("mqtt", "must have at least one broker")]);
    }
    let (mut brokers, mut problems) = (Vec::new(), Vec::new());
    let for_index = |key: &String| key.parse().is_ok_and(|index: usize| index < count);
    for key in above.keys().filter(|key| count > 1 && !for_index(key)) {
        let variable = key.to_uppercase();
        let problem = format!(
            "is set by an environment variable or a flag, but the file has {count} brokers; name one by its place in the file, from 0: THICKET__MQTT__0__{variable}"
        );
        problems.push(ConfigError::invalid(&format!("mqtt.{key}"), &problem));
    }
    for (index, element) in elements.iter().enumerate() {
        let place = format!("mqtt[{index}]");
        let Value::Dict(_, own) = element else {
            problems.push(ConfigError::invalid(&place, "must be a table: write [[mqtt]]"));
            continue;
        };
        let own = match above.get(&index.to_string()) {
            Some(Value::Dict(_, of_index)) => merged(own, of_index),
            None if count == 1 => merged(own, &above),
            _ => own.clone(),
        };
        let (broker, of_broker) = read(&defaults, own, &place);
        brokers.extend(broker);
        problems.extend(of_broker);
    }
    (brokers, problems)
}

/// Returns a table of some keys; an empty one if there is none.
fn dict_of(keys: &Dict, name: &str) -> Dict {
    keys.get(name).and_then(|value| value.as_dict().cloned()).unwrap_or_default()
}

/// Merges the own keys of a broker over the defaults. A preset of the broker is one of a
/// subscription with the broker's own keys.
fn read(defaults: &Dict, mut own: Dict, place: &str) -> Partly<MqttConfig> {
    let subscriptions = own.get("subscriptions").and_then(Value::as_array);
    let has_subscriptions = subscriptions.is_some_and(|all| !all.is_empty());
    let mut problems = Vec::new();
    for key in ["preset", "topics"] {
        if has_subscriptions && own.remove(key).is_some() {
            let problem = "move it to the subscriptions: a broker with subscriptions has no other";
            problems.push(ConfigError::invalid(&format!("{place}.{key}"), problem));
        }
    }
    let preset = own.get("preset").and_then(Value::as_str).is_some_and(|preset| !preset.is_empty());
    if preset {
        let subscription: Dict =
            own.extract_if(.., |key, _| !BrokerConfig::KEYS.contains(&key.as_str())).collect();
        own.insert("subscriptions".to_owned(), vec![Value::from(subscription)].into());
    }
    let (mut broker, of_keys) = MqttConfig::read(defaults, own, place);
    if let Some(broker) = &mut broker {
        broker.is_preset = preset;
    }
    problems.extend(of_keys);
    (broker, problems)
}
