//! A device's side: publishes at QoS 1 and counts what the broker has acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Outgoing, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::broker_login;
use crate::timing::TIMEOUT;

/// Messages that may be unacknowledged at a time.
const IN_FLIGHT: u16 = 100;
/// The largest message, above the limit of every engine under test.
const MAX_PACKET: usize = 32 << 20;
/// How long to wait before connecting again.
const RECONNECT: Duration = Duration::from_millis(50);
/// How long the broker may take to delete a session.
const FORGET_LIMIT: Duration = Duration::from_secs(10);

/// A client with a persistent session: after a lost connection, it sends every unacknowledged
/// message again.
#[derive(Debug)]
pub struct Publisher {
    client: AsyncClient,
    published: AtomicU64,
    acknowledged: watch::Receiver<u64>,
    connection: JoinHandle<()>,
}

impl Publisher {
    /// Connects to the broker on a loopback port. Two clients with one id would close each other's
    /// connection.
    pub fn connect(client_id: &str, port: u16) -> Self {
        let mut options = options(client_id, port);
        options.set_max_packet_size(MAX_PACKET, MAX_PACKET).set_clean_session(false).set_inflight(IN_FLIGHT);
        let (client, event_loop) = AsyncClient::new(options, usize::from(IN_FLIGHT));
        let (counter, acknowledged) = watch::channel(0);
        let connection = tokio::spawn(hold_connection(event_loop, counter));
        Self { client, published: AtomicU64::new(0), acknowledged, connection }
    }

    /// Hands a message to the client; waits while too many are unacknowledged.
    pub async fn try_publish(&self, topic: &str, payload: impl Into<Vec<u8>>) -> anyhow::Result<()> {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await?;
        self.published.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until the broker has acknowledged the first `count` messages. Fails once it has
    /// acknowledged none for as long as `limit`.
    pub async fn until_acknowledged(&self, count: u64, limit: Duration) -> anyhow::Result<()> {
        let mut acknowledged = self.acknowledged.clone();
        loop {
            let number = *acknowledged.borrow_and_update();
            if number >= count {
                return Ok(());
            }
            let changed = tokio::time::timeout(limit, acknowledged.changed()).await;
            let changed = changed.with_context(|| {
                format!("the broker took {number} of {count} messages, and none for {limit:?}")
            })?;
            changed.context("the publisher has ended")?;
        }
    }

    /// Returns the number of messages that were handed to the client.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Hands a message to the client, in a test.
    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.try_publish(topic, payload).await.unwrap_or_else(|error| panic!("{topic}: {error:#}"));
    }

    /// Waits until the broker has acknowledged everything that was published, in a test.
    pub async fn settle(&self) {
        let published = self.published();
        let settled = self.until_acknowledged(published, TIMEOUT).await;
        settled.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn options(client_id: &str, port: u16) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
    let (user, password) = broker_login();
    options.set_credentials(user, password);
    options
}

async fn hold_connection(mut event_loop: EventLoop, acknowledged: watch::Sender<u64>) {
    // An acknowledgement counts once per message, also of a message that was sent again.
    let mut in_flight = BTreeSet::new();
    loop {
        match event_loop.poll().await {
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => drop(in_flight.insert(packet)),
            Ok(Event::Incoming(Incoming::PubAck(ack))) => {
                if in_flight.remove(&ack.pkid) {
                    acknowledged.send_modify(|count| *count += 1);
                }
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(RECONNECT).await,
        }
    }
}

/// Makes the broker delete a persistent session.
pub async fn forget_session(client_id: &str, port: u16) -> anyhow::Result<()> {
    let mut options = options(client_id, port);
    options.set_clean_session(true);
    let (client, mut event_loop) = AsyncClient::new(options, 10);
    let forget = async {
        loop {
            match event_loop.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => client.try_disconnect()?,
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return anyhow::Ok(()),
                Ok(_) => {}
                Err(_) => tokio::time::sleep(RECONNECT).await,
            }
        }
    };
    tokio::time::timeout(FORGET_LIMIT, forget).await?
}
