//! The brokers of the configuration: the engine's sessions, and the connections of commands.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use thicket_actors::acknowledge::Redelivery;
use thicket_actors::mqtt::{LEAST_ANNOUNCED, MqttOptions, announced_packet};
use thicket_actors::source::{Broker, DecodeOptions, Severity, misfits};

use thicket_store::complaints;
use tokio::net::TcpStream;

use crate::config::{BrokerConfig, Config, ConfigError, MessageConfig, MqttConfig};

/// How long a connection to a broker may take while the engine waits for its stores.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two such connections.
const CONNECT_INTERVAL: Duration = Duration::from_secs(2);

/// Returns the brokers of the engine. `deployment` is the id of the deployment, from which a client
/// id is made if the configuration has none.
pub(crate) fn brokers(config: &Config, deployment: &str) -> Result<Vec<Broker>, ConfigError> {
    let options = engine_options(config, deployment)?;
    let broker = |(mqtt, options): (&MqttConfig, MqttOptions)| {
        let decode = decode_options_of(config, mqtt)?;
        let reorder = config.queue.reorder;
        Ok(Broker { redelivery: Redelivery::default(), options, decode, reorder })
    };
    config.mqtt.iter().zip(options).map(broker).collect()
}

/// Returns the settings of the engine's connection to each broker.
pub(crate) fn engine_options(config: &Config, deployment: &str) -> Result<Vec<MqttOptions>, ConfigError> {
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
        let payloads = mqtt.subscriptions()?.into_iter().map(|subscription| subscription.max_payload_bytes);
        Ok(MqttOptions {
            session_expiry: Some(broker.session_expiry),
            max_packet: announced_packet(payloads.max().unwrap_or_default()),
            ..connection(broker, client_id)?
        })
    };
    config.mqtt.iter().map(broker).collect()
}

/// Returns the settings for decoding the messages of all brokers.
pub(crate) fn decode_options(config: &Config) -> Result<DecodeOptions, ConfigError> {
    options_of(config, &config.subscriptions()?)
}

/// Returns the settings for decoding the messages of one broker.
pub(crate) fn decode_options_of(config: &Config, mqtt: &MqttConfig) -> Result<DecodeOptions, ConfigError> {
    options_of(config, &mqtt.subscriptions()?)
}

fn options_of(config: &Config, subscriptions: &[MessageConfig]) -> Result<DecodeOptions, ConfigError> {
    let options = subscriptions.iter().map(MessageConfig::options);
    Ok(DecodeOptions {
        partitions: config.queue.partitions,
        subscriptions: options.collect::<Result<_, _>>()?,
    })
}

/// Compares topic filters with templates and logs what does not fit.
///
/// # Errors
/// Refuses a subscription none of whose messages can become a reading.
pub(crate) fn refuse_misfits(config: &Config) -> anyhow::Result<()> {
    for mqtt in &config.mqtt {
        let broker = mqtt.broker.label();
        for misfit in misfits(&decode_options_of(config, mqtt)?.subscriptions) {
            match misfit.severity() {
                Severity::Refused => anyhow::bail!("configuration: broker {broker}: {misfit}"),
                Severity::Wrong => tracing::warn!(broker, "{misfit}"),
                Severity::Notable => tracing::info!(broker, "{misfit}"),
            }
        }
    }
    Ok(())
}

/// Returns the settings of a connection without a session, with a client id of its own for a purpose
/// such as `check`. With the engine's id, the broker would disconnect a running engine.
pub(crate) fn client_options(broker: &BrokerConfig, purpose: &str) -> Result<MqttOptions, ConfigError> {
    connection(broker, format!("thicket-{purpose}-{}", std::process::id()))
}

/// Returns the settings of a connection without a session.
fn connection(broker: &BrokerConfig, client_id: String) -> Result<MqttOptions, ConfigError> {
    Ok(MqttOptions {
        name: broker.label(),
        address: broker.address()?,
        versions: broker.version.into(),
        client_id,
        credentials: broker.credentials(),
        keep_alive: broker.keep_alive,
        session_expiry: None,
        max_in_flight: broker.max_in_flight,
        max_packet: LEAST_ANNOUNCED,
    })
}

/// Logs which brokers cannot be reached, while the engine waits for its stores. Never returns.
pub(crate) async fn name_missing(config: &Config) -> Infallible {
    loop {
        for mqtt in &config.mqtt {
            let broker = mqtt.broker.label();
            // An address without a valid form is reported when the broker is used.
            let Ok(address) = mqtt.broker.address() else { continue };
            let connecting = TcpStream::connect((address.host(), address.port()));
            let error = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            };
            if let Some(repeated) = complaints::due("reach the broker", &format!("{broker}: {error}")) {
                tracing::warn!(error, broker, %address, repeated, "the broker cannot be reached; waiting for it, too");
            }
        }
        tokio::time::sleep(CONNECT_INTERVAL).await;
    }
}
