//! The way back in: MQTT at QoS 1, as a device would publish.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};

use super::resend::Message;
use crate::config::Config;

/// Messages that are published before the broker has taken the first of them.
pub(super) const AT_ONCE: usize = 50;
/// How long the broker may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a packet: MQTT's own limit.
const LARGEST_PACKET: usize = 268_435_455;

/// A connection to the broker.
pub(super) struct FrontDoor {
    client: AsyncClient,
    event_loop: EventLoop,
}

impl FrontDoor {
    /// Connects, under a client id that is not the engine's, which would throw it off the broker.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let mqtt = &config.mqtt;
        let (host, port) = mqtt.address()?;
        let id = format!("{}-replay-{}", mqtt.client_id, std::process::id());
        let mut options = MqttOptions::new(id, &host, port);
        options.set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET).set_inflight(AT_ONCE as u16);
        if !mqtt.username.is_empty() {
            options.set_credentials(&mqtt.username, &mqtt.password);
        }
        let (client, event_loop) = AsyncClient::new(options, 2 * AT_ONCE);
        let mut door = Self { client, event_loop };
        door.until(|event| matches!(event, Incoming::ConnAck(_)))
            .await
            .with_context(|| format!("the broker {host}:{port} does not answer: start it or set mqtt.url"))?;
        Ok(door)
    }

    /// Publishes at most [`AT_ONCE`] messages and waits until the broker has taken every one.
    pub(super) async fn publish(&mut self, messages: &[&Message]) -> anyhow::Result<()> {
        debug_assert!(messages.len() <= AT_ONCE, "the queue holds no more while nobody polls");
        for message in messages {
            self.client
                .publish(message.topic.clone(), QoS::AtLeastOnce, false, message.payload.clone())
                .await?;
        }
        for _ in messages {
            self.until(|event| matches!(event, Incoming::PubAck(_)))
                .await
                .context("the broker has not taken the letters; nothing of this page counts as replayed")?;
        }
        Ok(())
    }

    /// Says goodbye, as far as the broker listens.
    pub(super) async fn close(mut self) {
        if self.client.disconnect().await.is_ok() {
            let _ =
                tokio::time::timeout(PATIENCE, async { while self.event_loop.poll().await.is_ok() {} }).await;
        }
    }

    async fn until(&mut self, is_awaited: impl Fn(&Incoming) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                if let Event::Incoming(incoming) = self.event_loop.poll().await?
                    && is_awaited(&incoming)
                {
                    return Ok::<(), rumqttc::ConnectionError>(());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(done) => Ok(done?),
            Err(_) => bail!("no answer within {PATIENCE:?}"),
        }
    }
}
