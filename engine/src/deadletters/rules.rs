//! How the engine reads the messages of each broker, as far as it decides what is published for a
//! dead letter.

use thicket_actors::source::MessageDecoder;
use thicket_codecs::{Format, PayloadDecoder, PayloadLimits, TopicTemplates};

use crate::brokers::decode_options_of;
use crate::config::{Config, ConfigError, MqttConfig};

/// A broker of the configuration, and how the engine reads its messages.
#[derive(Debug)]
pub(super) struct BrokerRules {
    /// The index of the broker.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: String,
    /// Its subscriptions.
    pub(super) subscriptions: Vec<Rules>,
    /// Decodes messages as the engine does.
    pub(super) decoder: MessageDecoder,
}

/// The part of a subscription that decides what is published.
#[derive(Debug)]
pub(super) struct Rules {
    /// Templates that give a sensor its topic.
    pub(super) templates: TopicTemplates,
    /// Topic filters that the engine subscribes to.
    pub(super) subscribed: Vec<String>,
    /// Names of the members of a payload that hold its time.
    pub(super) timestamp_keys: Vec<String>,
    /// Format of the payloads.
    pub(super) format: Format,
    /// Decodes payloads as the engine does.
    pub(super) payloads: PayloadDecoder,
}

impl BrokerRules {
    /// Returns the rules of every broker.
    pub(super) fn of(config: &Config) -> Result<Vec<Self>, ConfigError> {
        let broker = |(index, mqtt): (usize, &MqttConfig)| {
            let mut subscriptions = Vec::new();
            for subscription in mqtt.subscriptions()? {
                // A payload may be longer than the limit now, because its time was added.
                let limits = PayloadLimits { max_bytes: usize::MAX, ..subscription.payload_limits() };
                subscriptions.push(Rules {
                    templates: subscription.topic_templates()?,
                    payloads: PayloadDecoder::new(limits, subscription.timestamp_keys.clone())
                        .with_rules(subscription.payload_rules()?),
                    format: subscription.format,
                    subscribed: subscription.topics,
                    timestamp_keys: subscription.timestamp_keys,
                });
            }
            let decoder = MessageDecoder::new(decode_options_of(config, mqtt)?);
            Ok(Self { index, name: mqtt.broker.label(), subscriptions, decoder })
        };
        config.mqtt.iter().enumerate().map(broker).collect()
    }
}
