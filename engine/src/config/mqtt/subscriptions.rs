//! Merges the keys of a subscription with those of its preset and its broker.

use figment::value::{Dict, Value};

use super::broker::BrokerConfig;
use super::messages::MessageConfig;
use crate::config::error::{ConfigError, and_independent};
use crate::config::extract::{extract_partly, merged};
use crate::presets;
use crate::similar::most_similar;

/// Where the keys of a subscription are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The place of its broker, such as `mqtt[1]`.
    pub(super) broker: String,
    /// The place of its own keys. That of the broker if the broker has a preset.
    pub(super) own: String,
}

/// Merges the own keys of a subscription over those of its preset and of its broker. A preset can
/// stand for several subscriptions.
pub(super) fn merge(
    broker: &MessageConfig,
    own: &Dict,
    place: &Place,
) -> Result<Vec<MessageConfig>, ConfigError> {
    let (merged, problems) = merge_partly(broker, own, place);
    if problems.is_empty() { Ok(merged) } else { Err(ConfigError::Several(problems)) }
}

/// Merges keys like [`merge`], as far as they can be read, and returns the problems.
pub(super) fn merge_partly(
    broker: &MessageConfig,
    own: &Dict,
    of: &Place,
) -> (Vec<MessageConfig>, Vec<ConfigError>) {
    let place = of.own.as_str();
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
        let (read, mut found) = extract_partly(&merged(&broker, &preset), own.clone(), place, &[]);
        all.extend(read);
        for problem in &mut found {
            suggest_key_of_broker(problem, of);
        }
        problems = and_all(problems, Err(ConfigError::Several(found)));
    }
    if preset.is_none() && !own.contains_key("topics") {
        let missing = ConfigError::invalid(&format!("{place}.topics"), "name the topic filters, or a preset");
        problems = and_all(problems, Err(missing));
    }
    (all, problems)
}

/// Suggests a key of the broker for an unknown key of a subscription that has no similar one.
fn suggest_key_of_broker(problem: &mut ConfigError, place: &Place) {
    let ConfigError::Unknown { key, meant, .. } = problem else { return };
    let name = key.strip_prefix(&place.own).and_then(|rest| rest.strip_prefix('.'));
    let Some(name) = name.filter(|name| meant.is_empty() && !name.contains('.')) else { return };
    let is_broker = place.own == place.broker;
    let subscriptions: &[&str] = if is_broker { &["subscriptions"] } else { &[] };
    let known = [&BrokerConfig::KEYS[..], subscriptions].concat();
    let similar = most_similar(name, &known);
    let whole = |name: &str| if is_broker { name.to_owned() } else { format!("{}.{name}", place.broker) };
    meant.extend(similar.map(whole));
}

/// Returns the problems that [`and_independent`] joins.
pub(super) fn and_all(known: Vec<ConfigError>, found: Result<(), ConfigError>) -> Vec<ConfigError> {
    and_independent(known, found).err().map(ConfigError::into_all).unwrap_or_default()
}

/// Merges the keys of a subscription that is not in the configuration yet.
pub(crate) fn merge_subscription(
    broker: &MessageConfig,
    own: &Dict,
) -> Result<Vec<MessageConfig>, ConfigError> {
    let place = Place { broker: "mqtt".to_owned(), own: "mqtt.subscriptions".to_owned() };
    merge(broker, own, &place)
}
