//! The brokers of the configuration: the engine's sessions, and the connections of commands.

use std::collections::HashMap;

use thicket_actors::source::{Broker, DecodeOptions, MqttClient, MqttOptions};

use crate::config::{BrokerConfig, Config, ConfigError, MessageConfig, MqttConfig};

/// Returns the brokers of the engine. `deployment` is the id of the deployment, from which a client
/// id is made if the configuration has none.
pub(crate) fn brokers(config: &Config, deployment: &str) -> Result<Vec<Broker>, ConfigError> {
    let mut sessions: HashMap<(String, u16), u32> = HashMap::new();
    let broker = |mqtt: &MqttConfig| {
        let MqttConfig { broker, .. } = mqtt;
        let address = broker.address()?;
        let session = sessions.entry((address.host().to_owned(), address.port())).or_default();
        *session += 1;
        let client_id = match (&broker.client_id[..], *session) {
            ("", 1) => format!("thicket-{deployment}"),
            // Two sessions at one broker need two client ids.
            ("", number) => format!("thicket-{deployment}-{number}"),
            (client_id, _) => client_id.to_owned(),
        };
        let options = MqttOptions {
            name: broker.label(),
            address,
            client_id,
            credentials: broker.credentials(),
            keep_alive: broker.keep_alive,
            max_in_flight: broker.max_in_flight,
        };
        let decode = options_of(config, &mqtt.subscriptions()?)?;
        let client = MqttClient::new(&options).map_err(|error| BrokerConfig::unusable(&error))?;
        Ok(Broker { client, options, decode })
    };
    config.mqtt.iter().map(broker).collect()
}

/// Returns the settings for decoding the messages of all brokers.
pub(crate) fn decode_options(config: &Config) -> Result<DecodeOptions, ConfigError> {
    options_of(config, &config.subscriptions()?)
}

fn options_of(config: &Config, subscriptions: &[MessageConfig]) -> Result<DecodeOptions, ConfigError> {
    let options = subscriptions.iter().map(MessageConfig::options);
    Ok(DecodeOptions {
        partitions: config.queue.partitions,
        subscriptions: options.collect::<Result<_, _>>()?,
    })
}

/// Returns the options of a client with an id of its own, for a purpose such as `check`. With the
/// engine's id, the broker would disconnect a running engine.
pub(crate) fn client_options(
    broker: &BrokerConfig,
    purpose: &str,
) -> Result<rumqttc::MqttOptions, ConfigError> {
    let id = format!("thicket-{purpose}-{}", std::process::id());
    let mut options = broker.address()?.options(&id).map_err(|error| BrokerConfig::unusable(&error))?;
    if let Some((user, password)) = broker.credentials() {
        options.set_credentials(user, password);
    }
    Ok(options)
}
