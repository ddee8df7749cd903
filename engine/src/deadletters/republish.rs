//! Publishes messages at MQTT QoS 1, as a device would.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, QoS};

use super::message_for::Message;
use crate::broker::client_options;
use crate::config::Config;

/// Messages that are published before the broker has acknowledged the first of them.
pub(super) const AT_ONCE: usize = 50;
/// How long the broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a packet: the limit of MQTT.
const MAX_PACKET: usize = 268_435_455;

/// A connection to the broker.
pub(super) struct Republisher {
    client: AsyncClient,
    event_loop: EventLoop,
}

impl Republisher {
    /// Connects, under a client id of its own.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let mut options = client_options(&config.mqtt, "replay")?;
        let (host, port) = options.broker_address();
        options.set_max_packet_size(MAX_PACKET, MAX_PACKET).set_inflight(AT_ONCE as u16);
        let (client, event_loop) = AsyncClient::new(options, 2 * AT_ONCE);
        let mut republisher = Self { client, event_loop };
        republisher
            .wait_for(|event| matches!(event, Incoming::ConnAck(_)))
            .await
            .with_context(|| format!("the broker {host}:{port} does not answer; start it or set mqtt.url"))?;
        Ok(republisher)
    }

    /// Publishes at most [`AT_ONCE`] messages and waits until the broker has acknowledged all of
    /// them.
    pub(super) async fn publish(&mut self, messages: &[&Message]) -> anyhow::Result<()> {
        debug_assert!(messages.len() <= AT_ONCE, "the client's queue holds no more while it is not polled");
        for message in messages {
            self.client
                .publish(message.topic.clone(), QoS::AtLeastOnce, false, message.payload.clone())
                .await?;
        }
        for _ in messages {
            self.wait_for(|event| matches!(event, Incoming::PubAck(_))).await.context(
                "the broker has not acknowledged the dead letters; none of this page counts as replayed",
            )?;
        }
        Ok(())
    }

    /// Disconnects. An error is ignored: every message is acknowledged.
    pub(super) async fn close(mut self) {
        if self.client.disconnect().await.is_ok() {
            let _ =
                tokio::time::timeout(TIMEOUT, async { while self.event_loop.poll().await.is_ok() {} }).await;
        }
    }

    async fn wait_for(&mut self, is_awaited: impl Fn(&Incoming) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                if let Event::Incoming(incoming) = self.event_loop.poll().await?
                    && is_awaited(&incoming)
                {
                    return Ok::<(), rumqttc::ConnectionError>(());
                }
            }
        };
        match tokio::time::timeout(TIMEOUT, wait).await {
            Ok(arrived) => Ok(arrived?),
            Err(_) => bail!("no answer within {TIMEOUT:?}"),
        }
    }
}
