//! A broker with its subscriptions.

use figment::value::{Dict, Value};
use serde::{Deserialize, Deserializer, Serialize};

use super::broker::BrokerConfig;
use super::messages::MessageConfig;
use super::subscriptions;
use crate::config::error::{ConfigError, without_secrets};

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

/// The keys of the connection are those of `BrokerConfig`; all others are those of
/// `MessageConfig`, which refuses an unknown key.
impl<'de> Deserialize<'de> for MqttConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let custom = |errors: figment::Error| {
            let errors: Vec<String> = errors.into_iter().map(without_secrets).collect();
            D::Error::custom(errors.join("; "))
        };
        let mut broker = Dict::deserialize(deserializer)?;
        let subscriptions = broker.remove("subscriptions");
        let messages: Dict =
            broker.extract_if(.., |key, _| !BrokerConfig::KEYS.contains(&key.as_str())).collect();
        Ok(Self {
            broker: Value::from(broker).deserialize().map_err(custom)?,
            messages: Value::from(messages).deserialize().map_err(custom)?,
            subscriptions: match subscriptions {
                Some(subscriptions) => subscriptions.deserialize().map_err(custom)?,
                None => Vec::new(),
            },
            place: String::new(),
        })
    }
}

impl MqttConfig {
    /// Returns the subscriptions, at least one.
    pub(crate) fn subscriptions(&self) -> Result<Vec<MessageConfig>, ConfigError> {
        Ok(self.placed_subscriptions()?.into_iter().map(|(_, subscription)| subscription).collect())
    }

    /// Returns the subscriptions, at least one, each with its place in the configuration.
    pub(crate) fn placed_subscriptions(&self) -> Result<Vec<(String, MessageConfig)>, ConfigError> {
        if self.subscriptions.is_empty() {
            return Ok(vec![(self.place.clone(), self.messages.clone())]);
        }
        let mut placed = Vec::new();
        for (index, own) in self.subscriptions.iter().enumerate() {
            let place = format!("{}.subscriptions[{index}]", self.place);
            let merged = subscriptions::merge(&self.messages, own, &place)?;
            placed.extend(merged.into_iter().map(|subscription| (place.clone(), subscription)));
        }
        Ok(placed)
    }

    /// Checks what no type can express.
    pub(in crate::config) fn validate(&self) -> Result<(), ConfigError> {
        self.broker.validate(&self.place)?;
        let placed = self.placed_subscriptions()?;
        placed.iter().try_for_each(|(place, subscription)| subscription.validate(place))
    }
}
