//! How the engine reads the messages of each broker, as far as it decides what is published for a
//! dead letter.

use anyhow::bail;
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

/// Returns the broker with this name.
pub(super) fn named(brokers: Vec<BrokerRules>, name: &str) -> anyhow::Result<BrokerRules> {
    let (mut of_name, others): (Vec<_>, Vec<_>) = brokers.into_iter().partition(|broker| broker.name == name);
    match (of_name.pop(), of_name.len()) {
        (Some(broker), 0) => Ok(broker),
        (Some(_), more) => bail!("{} brokers are called {name}; give each a mqtt.name of its own", more + 1),
        (None, _) => {
            let names: Vec<&str> = others.iter().map(|broker| broker.name.as_str()).collect();
            bail!("no broker is called {name}; mqtt has {}", names.join(", "))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    /// Returns the rules of a configuration.
    pub(in super::super) fn brokers(text: &str) -> Vec<BrokerRules> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        BrokerRules::of(&load(Some(file.path()), &Overrides::default()).unwrap().config).unwrap()
    }

    #[test]
    fn a_broker_has_a_name_of_its_own() {
        let text = "[[mqtt]]\nurl = \"mqtt://a\"\n[[mqtt]]\nname = \"plant\"\nurl = \"mqtt://a\"\n";
        let of_name = |text: &str, name| named(brokers(text), name).map(|broker| broker.index);
        assert_eq!([of_name(text, "a:1883").unwrap(), of_name(text, "plant").unwrap()], [0, 1]);
        let error = of_name(text, "b").unwrap_err().to_string();
        assert_eq!(error, "no broker is called b; mqtt has a:1883, plant");
        let error = of_name(&text.replace("name = \"plant\"", ""), "a:1883").unwrap_err().to_string();
        assert_eq!(error, "2 brokers are called a:1883; give each a mqtt.name of its own");
    }
}
