//! Publishes messages at MQTT QoS 1, as a device would.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use thicket_actors::mqtt::{self, Client, Event, EventLoop, Qos, Version};

use super::message::Message;
use crate::brokers::client_options;
use crate::config::{BrokerConfig, Config};
use crate::terminal::errln;

/// Messages that are published before the broker has acknowledged the first of them.
pub(super) const AT_ONCE: usize = 50;
/// How long the broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

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
    pub(super) async fn publish(&mut self, messages: &[(usize, &Message)]) -> anyhow::Result<()> {
        let mut of_brokers: BTreeMap<usize, Vec<&Message>> = BTreeMap::new();
        for &(broker, message) in messages {
            of_brokers.entry(broker).or_default().push(message);
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
    client: Client,
    event_loop: EventLoop,
}

impl Republisher {
    /// Connects, under a client id of its own. Warns of a broker whose answers say little.
    async fn open(broker: &BrokerConfig) -> anyhow::Result<Self> {
        let options = client_options(broker, "replay")?;
        let no_connection =
            || format!("no connection to the broker {}; start it or set mqtt.url", options.address);
        let opened = tokio::time::timeout(TIMEOUT, mqtt::open(&options)).await.with_context(no_connection)?;
        let (client, event_loop) = opened.with_context(no_connection)?;
        if client.version() == Version::V3 {
            errln!(
                "thicket: warning: with MQTT 3.1.1, the broker {} does not say whether it refuses a message; its access rules must let this user write to mqtt.topics",
                options.address
            );
        }
        Ok(Self { client, event_loop })
    }

    /// Publishes at most [`AT_ONCE`] messages and waits until the broker has acknowledged all of
    /// them.
    async fn publish(&mut self, messages: &[&Message]) -> anyhow::Result<()> {
        for message in messages {
            self.client.publish(&message.topic, message.payload.clone(), Qos::AtLeastOnce)?;
        }
        let answers = async {
            for _ in messages {
                self.until_published().await?;
            }
            anyhow::Ok(())
        };
        let answered = match tokio::time::timeout(TIMEOUT, answers).await {
            Ok(answered) => answered,
            Err(_) => Err(anyhow!("no answer within {TIMEOUT:?}")),
        };
        answered
            .context("the broker has not acknowledged the dead letters; none of this page counts as replayed")
    }

    async fn until_published(&mut self) -> anyhow::Result<()> {
        loop {
            if let Event::Published(answer) = self.event_loop.poll().await? {
                return Ok(answer?);
            }
        }
    }

    /// Disconnects. An error is ignored: every message is acknowledged.
    async fn close(mut self) {
        if self.client.disconnect().is_ok() {
            let until_closed = async { while self.event_loop.poll().await.is_ok() {} };
            let _ = tokio::time::timeout(TIMEOUT, until_closed).await;
        }
    }
}
