//! The retained messages of a broker.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};

use crate::config::broker_login;

/// The largest message.
const MAX_PACKET: usize = 1 << 20;
/// A topic that no test publishes to otherwise.
const MARK: &str = "test/mark";

/// Returns the payloads of the retained messages that match a filter, by topic. `port`: the port of
/// a private broker.
pub async fn retained(port: u16, filter: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let id = format!("retained-{:x}", RandomState::new().build_hasher().finish());
    let mut options = MqttOptions::new(id, "127.0.0.1", port);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    let (user, password) = broker_login();
    options.set_credentials(user, password);
    let (client, mut event_loop) = AsyncClient::new(options, 10);
    client.subscribe(filter, QoS::AtLeastOnce).await?;
    // The broker sends the retained messages after the acknowledgement of the subscription, and
    // before the message that follows.
    client.subscribe(MARK, QoS::AtLeastOnce).await?;
    client.publish(MARK, QoS::AtLeastOnce, false, "").await?;
    let mut found = BTreeMap::new();
    loop {
        if let Event::Incoming(Incoming::Publish(message)) = event_loop.poll().await? {
            if message.topic == MARK {
                return Ok(found);
            }
            // A message that is published meanwhile is not one that the broker has retained.
            if message.retain {
                found.insert(message.topic, message.payload.to_vec());
            }
        }
    }
}
