//! A broker with its subscriptions.

use figment::value::{Dict, Value};
use serde::Serialize;

use super::broker::BrokerConfig;
use super::messages::MessageConfig;
use super::subscriptions::{self, Place};
use crate::config::error::{ConfigError, all_of};
use crate::config::extract::{Partly, extract_partly};

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
    /// Whether the only subscription has the broker's own keys, one of which is a preset.
    #[serde(skip)]
    pub(super) is_preset: bool,
}

impl MqttConfig {
    /// Reads the keys of a broker over the defaults. The keys of the connection are those of
    /// `BrokerConfig`; all others are those of `MessageConfig`, which refuses an unknown key.
    pub(super) fn read(defaults: &Dict, mut own: Dict, place: &str) -> Partly<Self> {
        let subscriptions = own.remove("subscriptions");
        let (of_broker, of_messages) = (broker_keys(own.clone()), message_keys(own));
        let (broker, mut problems) = extract_partly(&broker_keys(defaults.clone()), of_broker, place, &[]);
        let siblings = [&BrokerConfig::KEYS[..], &["subscriptions"]].concat();
        let (messages, of_messages) =
            extract_partly(&message_keys(defaults.clone()), of_messages, place, &siblings);
        problems.extend(of_messages);
        let subscriptions = subscriptions.map_or(Ok(Vec::new()), |all| tables(&all, place));
        let subscriptions = subscriptions.unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        let read = broker.zip(messages).map(|(broker, messages)| Self {
            broker,
            messages,
            subscriptions,
            place: place.to_owned(),
            is_preset: false,
        });
        (read, problems)
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
            let place = self.place_of(index);
            match subscriptions::merge(&self.messages, own, &place) {
                Ok(merged) => {
                    placed.extend(merged.into_iter().map(|subscription| (place.own.clone(), subscription)));
                }
                Err(error) => problems.extend(error.into_all()),
            }
        }
        if problems.is_empty() { Ok(placed) } else { Err(ConfigError::Several(problems)) }
    }

    /// Checks what no type can express.
    pub(in crate::config) fn validate(&self) -> Result<(), ConfigError> {
        let subscriptions = if self.subscriptions.is_empty() {
            self.messages.validate(&self.place)
        } else {
            all_of(self.subscriptions.iter().enumerate().map(|(index, own)| self.validate_own(index, own)))
        };
        all_of([self.broker.validate(&self.place), subscriptions])
    }

    fn validate_own(&self, index: usize, own: &Dict) -> Result<(), ConfigError> {
        let place = self.place_of(index);
        let (merged, problems) = subscriptions::merge_partly(&self.messages, own, &place);
        // The subscriptions of a preset have the same problem of an own key.
        let all = merged.iter().fold(problems, |known, subscription| {
            subscriptions::and_all(known, subscription.validate(&place.own))
        });
        if all.is_empty() { Ok(()) } else { Err(ConfigError::Several(all)) }
    }

    /// Returns where the keys of a subscription are.
    fn place_of(&self, index: usize) -> Place {
        let own = if self.is_preset {
            self.place.clone()
        } else {
            format!("{}.subscriptions[{index}]", self.place)
        };
        Place { broker: self.place.clone(), own }
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
