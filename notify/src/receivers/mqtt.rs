//! A retained message on a topic of each sensor, there while an anomaly goes on.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use thicket_actors::mqtt::{
    BrokerAddress, Client, Event as MqttEvent, LEAST_ANNOUNCED, MqttOptions, Qos, Versions, open,
};
use thicket_connect::TlsSettings;
use thicket_store::faults;
use xxhash_rust::xxh3::xxh3_64;

use super::SendError;
use crate::config::{RouteConfig, RouteProblem};
use crate::message::{Event, Message};

/// The part of `topic` that stands for the sensor's name.
const SENSOR: &str = "{sensor}";
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long to wait before connecting again to a broker that is away.
const RECONNECT: Duration = Duration::from_secs(2);
/// Maximum number of notifications of a message. They must arrive over a slow link before the
/// timeout.
pub(crate) const MAX_MEMBERS: u64 = 50;
/// Maximum number of MQTT messages that the broker has not acknowledged: two for each notification.
const IN_FLIGHT: u32 = 2 * MAX_MEMBERS as u32;

/// A broker, and the topics of sensors.
#[derive(Clone)]
pub struct MqttReceiver {
    options: MqttOptions,
    topic: String,
    /// A random number, in the client ids. Two nodes, and two deployments, need different client
    /// ids: a broker closes the older connection of a client id.
    own: u64,
    /// The first level of discovery topics of Home Assistant; empty for no discovery.
    home_assistant: String,
}

/// Without the address, which may have a secret path.
impl std::fmt::Debug for MqttReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttReceiver").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl MqttReceiver {
    pub(super) fn new(config: &RouteConfig) -> Result<Self, RouteProblem> {
        let RouteConfig { name, url, topic, home_assistant, .. } = config;
        let ca = (!config.ca.is_empty()).then(|| config.ca.clone().into());
        let tls = TlsSettings { ca, ..TlsSettings::default() };
        let address = BrokerAddress::new(url, tls).map_err(|error| RouteProblem::new("url", error))?;
        address.transport().map_err(|error| RouteProblem::new("ca", error))?;
        if !topic.contains(SENSOR) || topic.contains(['+', '#']) {
            return Err(RouteProblem::new("topic", "must contain {sensor}, and neither + nor #"));
        }
        if home_assistant.contains(['+', '#']) {
            return Err(RouteProblem::new("home_assistant", "must contain neither + nor #"));
        }
        let credentials =
            (!config.username.is_empty()).then(|| (config.username.clone(), config.password.clone()));
        let options = MqttOptions {
            name: format!("notify {name}"),
            address,
            versions: Versions::Auto,
            client_id: String::new(),
            credentials,
            keep_alive: KEEP_ALIVE,
            session_expiry: None,
            max_in_flight: IN_FLIGHT,
            max_packet: LEAST_ANNOUNCED,
        };
        // The standard library seeds it by random numbers of the system.
        let own = RandomState::new().hash_one(name);
        Ok(Self { options, topic: topic.clone(), own, home_assistant: home_assistant.clone() })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let options = self.options("send");
        let (client, mut event_loop) = open(&options).await.map_err(|failure| unavailable(&failure))?;
        let mut unacknowledged = 0_usize;
        for event in &message.events {
            if !self.home_assistant.is_empty() && !message.is_test {
                let (topic, payload) = self.discovery(message, event);
                publish(&client, &topic, payload)?;
                unacknowledged += 1;
            }
            let state = if event.ended.is_some() {
                Vec::new()
            } else {
                serde_json::to_vec(event).map_err(|error| SendError::Refused(error.to_string()))?
            };
            faults::pass(if event.ended.is_some() { "clear.before" } else { "retain.before" });
            publish(&client, &self.topic_of(event), state)?;
            unacknowledged += 1;
        }
        while unacknowledged > 0 {
            let event = event_loop.poll().await.map_err(|failure| unavailable(&failure))?;
            if let MqttEvent::Published(accepted) = event {
                accepted.map_err(|refusal| unavailable(&refusal))?;
                unacknowledged -= 1;
            }
        }
        for event in &message.events {
            faults::pass(if event.ended.is_some() { "clear.after" } else { "retain.after" });
        }
        if client.disconnect().is_ok() {
            // The broker has every message; it may close the connection first.
            while let Ok(event) = event_loop.poll().await {
                if matches!(event, MqttEvent::Disconnected) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Notes each new connection to the broker, until it is dropped: a broker that was started
    /// again may have lost retained messages, or have those of an earlier time.
    pub(crate) async fn watch(&self, is_stale: &AtomicBool) {
        let options = self.options("watch");
        loop {
            if let Ok((_client, mut event_loop)) = open(&options).await {
                is_stale.store(true, Ordering::Relaxed);
                while event_loop.poll().await.is_ok() {}
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// Returns the options of a connection. Each purpose has a client id of its own.
    fn options(&self, purpose: &str) -> MqttOptions {
        let client_id = format!("thicket-notify-{purpose}-{:016x}", self.own);
        MqttOptions { client_id, ..self.options.clone() }
    }

    fn topic_of(&self, event: &Event) -> String {
        // The name is of a topic already; + and # cannot be in one.
        self.topic.replace(SENSOR, &event.sensor.replace(['+', '#'], "_"))
    }

    /// Returns the topic and the payload by which Home Assistant learns of a sensor.
    fn discovery(&self, message: &Message, event: &Event) -> (String, Vec<u8>) {
        let id = format!("thicket_{}_{:016x}", message.deployment, xxh3_64(event.sensor.as_bytes()));
        let topic = self.topic_of(event);
        let config = json!({
            "name": format!("Anomaly {}", event.sensor),
            "unique_id": id,
            "default_entity_id": format!("binary_sensor.{id}"),
            // Home Assistant before 2025.10 knows no default_entity_id.
            "object_id": id,
            "device_class": "problem",
            "state_topic": topic,
            "value_template": "{{ 'ON' if value | length > 0 else 'OFF' }}",
            "json_attributes_topic": topic,
            // Home Assistant complains of attributes that are no JSON, such as a removed message.
            "json_attributes_template": "{{ value if value | length > 0 else '{}' }}",
            "device": {
                "identifiers": [format!("thicket_{}", message.deployment)],
                "name": format!("Thicket {}", message.deployment),
                "manufacturer": "Thicket",
            },
        });
        (format!("{}/binary_sensor/{id}/config", self.home_assistant), config.to_string().into_bytes())
    }
}

/// Queues a retained message. The broker answers each.
fn publish(client: &Client, topic: &str, payload: Vec<u8>) -> Result<(), SendError> {
    client.publish_retained(topic, payload, Qos::AtLeastOnce).map_err(|error| unavailable(&error))
}

fn unavailable(error: &dyn std::fmt::Display) -> SendError {
    SendError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::example;

    #[test]
    fn nodes_and_purposes_have_different_client_ids() {
        let config = RouteConfig { url: "mqtt://127.0.0.1".to_owned(), ..example() };
        let nodes = [(); 2].map(|()| MqttReceiver::new(&config).unwrap());
        let options = |node: &MqttReceiver| ["send", "watch"].map(|purpose| node.options(purpose).client_id);
        let all: BTreeSet<String> = nodes.iter().flat_map(options).collect();
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(options(&nodes[0]), options(&nodes[0].clone()));
    }
}
