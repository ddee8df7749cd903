//! Publishes messages at MQTT QoS 1, as a device would.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, QoS};

use super::message_for::Message;
use crate::brokers::client_options;
use crate::config::{BrokerConfig, Config};

/// Messages that are published before the broker has acknowledged the first of them.
pub(super) const AT_ONCE: usize = 50;
/// How long the broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a packet: the limit of MQTT.
const MAX_PACKET: usize = 268_435_455;

/// Connections to the brokers, each opened when it is needed first.
pub(super) struct Republishers<'c> {
    config: &'c Config,
    open: BTreeMap<usize, Republisher>,
}

impl<'c> Republishers<'c> {
    pub(super) const fn new(config: &'c Config) -> Self {
        Self { config, open: BTreeMap::new() }
    }

    /// Publishes at most [`AT_ONCE`] messages, each to the broker of its index, and waits until the
    /// brokers have acknowledged all of them.
    pub(super) async fn publish(&mut self, messages: &[&(usize, Message)]) -> anyhow::Result<()> {
        let mut of_brokers: BTreeMap<usize, Vec<&Message>> = BTreeMap::new();
        for (broker, message) in messages {
            of_brokers.entry(*broker).or_default().push(message);
        }
        for (broker, messages) in of_brokers {
            let republisher = match self.open.entry(broker) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(vacant) => {
                    vacant.insert(Republisher::open(&self.config.mqtt[broker].broker).await?)
                }
            };
            republisher.publish(&messages).await?;
        }
        Ok(())
    }

    /// Disconnects.
    pub(super) async fn close(self) {
        for republisher in self.open.into_values() {
            republisher.close().await;
        }
    }
}

/// A connection to a broker.
struct Republisher {
    client: AsyncClient,
    event_loop: EventLoop,
}

impl Republisher {
    /// Connects, under a client id of its own.
    async fn open(broker: &BrokerConfig) -> anyhow::Result<Self> {
        let mut options = client_options(broker, "replay")?;
        let address = broker.address()?;
        options.set_max_packet_size(MAX_PACKET, MAX_PACKET).set_inflight(AT_ONCE as u16);
        let (client, event_loop) = AsyncClient::new(options, 2 * AT_ONCE);
        let mut republisher = Self { client, event_loop };
        republisher
            .wait_for(|event| matches!(event, Incoming::ConnAck(_)))
            .await
            .with_context(|| format!("the broker {address} does not answer; start it or set mqtt.url"))?;
        Ok(republisher)
    }

    /// Publishes at most [`AT_ONCE`] messages and waits until the broker has acknowledged all of
    /// them.
    async fn publish(&mut self, messages: &[&Message]) -> anyhow::Result<()> {
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
    async fn close(mut self) {
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
