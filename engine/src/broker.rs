//! The connections of commands to the MQTT broker.

use rumqttc::MqttOptions;

use crate::config::{ConfigError, MqttConfig};

/// Returns the options of a client with an id of its own, for a purpose such as `check`. With the
/// engine's id, the broker would disconnect a running engine.
pub(crate) fn client_options(mqtt: &MqttConfig, purpose: &str) -> Result<MqttOptions, ConfigError> {
    let (host, port) = mqtt.address()?;
    let id = format!("{}-{purpose}-{}", mqtt.client_id, std::process::id());
    let mut options = MqttOptions::new(id, host, port);
    if !mqtt.username.is_empty() {
        options.set_credentials(&mqtt.username, &mqtt.password);
    }
    Ok(options)
}
