//! A broker with its subscriptions.

use figment::value::{Dict, Value};
use serde::Serialize;

use super::broker::BrokerConfig;
use super::messages::MessageConfig;
use super::subscriptions;
use crate::config::error::{ConfigError, all_of};
use crate::config::extract::{extract, extract_among};

/// A broker and its subscriptions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MqttConfig {
    /// The connection.
    #[serde(flatten)]
    pub(crate) broker: BrokerConfig,
    /// How messages become readings, for subscriptions that do not say otherwise.
    #[serde(flatten)]
    pub(crate) messages: MessageConfig,
    /// Subscriptions with keys of their own. Empty if the broker has one subscription, which
    /// `messages` describes.
    pub(crate) subscriptions: Vec<Dict>,
    /// The place in the configuration, such as `mqtt` or `mqtt[1]`.
    #[serde(skip)]
    pub(super) place: String,
}

impl MqttConfig {
    /// Reads the keys of a broker over the defaults. The keys of the connection are those of
    /// `BrokerConfig`; all others are those of `MessageConfig`, which refuses an unknown key.
    pub(super) fn read(defaults: &Dict, mut own: Dict, place: &str) -> Result<Self, ConfigError> {
        let subscriptions = own.remove("subscriptions");
        let (of_broker, of_messages) = (broker_keys(own.clone()), message_keys(own));
        let broker = extract(&broker_keys(defaults.clone()), of_broker, place);
        let messages =
            extract_among(&message_keys(defaults.clone()), of_messages, place, &BrokerConfig::KEYS);
        let subscriptions = match subscriptions {
            None => Ok(Vec::new()),
            Some(subscriptions) => tables(&subscriptions, place),
        };
        match (broker, messages, subscriptions) {
            (Ok(broker), Ok(messages), Ok(subscriptions)) => {
                Ok(Self { broker, messages, subscriptions, place: place.to_owned() })
            }
            (broker, messages, subscriptions) => {
                let results = [broker.map(drop), messages.map(drop), subscriptions.map(drop)];
                Err(all_of(results).err().unwrap_or_else(|| ConfigError::Several(Vec::new())))
            }
        }
    }

    /// Returns its place in the configuration, such as `mqtt` or `mqtt[1]`.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns the subscriptions, at least one.
    pub(crate) fn subscriptions(&self) -> Result<Vec<MessageConfig>, ConfigError> {
        Ok(self.placed_subscriptions()?.into_iter().map(|(_, subscription)| subscription).collect())
    }

    /// Returns the subscriptions, at least one, each with its place in the configuration.
    pub(crate) fn placed_subscriptions(&self) -> Result<Vec<(String, MessageConfig)>, ConfigError> {
        if self.subscriptions.is_empty() {
            return Ok(vec![(self.place.clone(), self.messages.clone())]);
        }
        let (mut placed, mut problems) = (Vec::new(), Vec::new());
        for (index, own) in self.subscriptions.iter().enumerate() {
            let place = format!("{}.subscriptions[{index}]", self.place);
            match subscriptions::merge(&self.messages, own, &place) {
                Ok(merged) => {
                    placed.extend(merged.into_iter().map(|subscription| (place.clone(), subscription)));
                }
                Err(error) => problems.extend(error.into_all()),
            }
        }
        if problems.is_empty() { Ok(placed) } else { Err(ConfigError::Several(problems)) }
    }

    /// Checks what no type can express.
    pub(in crate::config) fn validate(&self) -> Result<(), ConfigError> {
        let subscriptions = self.placed_subscriptions().and_then(|placed| {
            all_of(placed.iter().map(|(place, subscription)| subscription.validate(place)))
        });
        all_of([self.broker.validate(&self.place), subscriptions])
    }
}

fn broker_keys(mut keys: Dict) -> Dict {
    keys.retain(|key, _| BrokerConfig::KEYS.contains(&key.as_str()));
    keys
}

fn message_keys(mut keys: Dict) -> Dict {
    keys.retain(|key, _| !BrokerConfig::KEYS.contains(&key.as_str()) && key != "subscriptions");
    keys
}

fn tables(subscriptions: &Value, place: &str) -> Result<Vec<Dict>, ConfigError> {
    let tables = subscriptions.as_array().and_then(|elements| {
        elements.iter().map(|element| element.as_dict().cloned()).collect::<Option<Vec<Dict>>>()
    });
    tables.ok_or_else(|| {
        let problem = "must be tables: write [[mqtt.subscriptions]]";
        ConfigError::invalid(&format!("{place}.subscriptions"), problem)
    })
}
