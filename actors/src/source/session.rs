//! The MQTT session: connects, subscribes, and turns messages into appends.

use std::rc::Rc;
use std::time::Duration;

use actix::Recipient;
use chrono::Utc;
use prometheus::IntGauge;
use rumqttc::{
    AsyncClient, ConnAck, Event, EventLoop, Incoming, Outgoing, Publish, QoS, SubAck, SubscribeFilter,
    SubscribeReasonCode,
};
use thicket_store::retry::Backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address::{BrokerAddress, BrokerAddressError};
use super::controls::ControlPublisher;
use super::decode::{DecodeOptions, MessageDecoder};
use super::ignore::IgnoreReason;
use super::stamp::Stamp;
use super::subscription_lease::SubscriptionLease;
use crate::acknowledge::Connection;
use crate::credit::{CreditPool, send_credited};
use crate::messages::Append;
use crate::metrics::Metrics;

/// The largest packet that MQTT allows, in bytes. The decoder enforces the payload limit. The MQTT
/// library must not: it could only disconnect, and the broker would deliver the packet again
/// without end.
const LARGEST_PACKET: usize = 268_435_455;
/// Acknowledgements that can be queued: one for each of the 2^16 packet ids, and the same number
/// again while a connection breaks.
const REQUEST_QUEUE: usize = 2 * 65_536;
/// How long to wait until the last acknowledgements and the disconnect packet are sent.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Mosquitto reports here how many messages it has dropped.
const BROKER_DROPPED: &str = "$SYS/broker/publish/messages/dropped";

/// The settings of the connection to a broker. Its debug form hides the password.
#[derive(Clone)]
pub struct MqttOptions {
    /// The name of the broker in logs and metrics.
    pub name: String,
    /// The address of the broker.
    pub address: BrokerAddress,
    /// The client id, which names the persistent session.
    pub client_id: String,
    /// User and password, if the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// Interval of keep-alive pings.
    pub keep_alive: Duration,
    /// Maximum number of messages that are received and not in the log yet.
    pub max_in_flight: u32,
}

impl std::fmt::Debug for MqttOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.address.to_string();
        f.debug_struct("MqttOptions")
            .field("name", &self.name)
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

/// The client and the event loop of a session, created before the actors that share the connection.
pub struct MqttClient {
    pub(super) client: AsyncClient,
    pub(super) connection: Connection,
    pub(super) event_loop: EventLoop,
}

impl MqttClient {
    /// Creates a client that is not connected yet.
    pub fn new(options: &MqttOptions) -> Result<Self, BrokerAddressError> {
        let mut mqtt = options.address.options(&options.client_id)?;
        mqtt.set_clean_session(false)
            .set_manual_acks(true)
            .set_keep_alive(options.keep_alive)
            .set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET);
        if let Some((user, password)) = &options.credentials {
            mqtt.set_credentials(user, password);
        }
        let (client, event_loop) = AsyncClient::new(mqtt, REQUEST_QUEUE);
        Ok(Self { connection: Connection::new(client.clone()), client, event_loop })
    }

    /// Returns the connection on which deliveries are acknowledged.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }
}

/// The subscriptions at one broker, and the settings and actors for their messages.
pub(super) struct Session {
    pub(super) options: MqttOptions,
    pub(super) decode: DecodeOptions,
    pub(super) stamp: Stamp,
    pub(super) writer: Recipient<Append>,
    pub(super) credits: CreditPool,
    pub(super) connection: Connection,
    pub(super) client: AsyncClient,
    pub(super) lease: Rc<SubscriptionLease>,
    pub(super) metrics: Metrics,
    pub(super) controls: Rc<ControlPublisher>,
    /// Kept when the actor restarts: a panic in the decoder does not end the connection.
    pub(super) event_loop: tokio::sync::Mutex<EventLoop>,
}

impl Session {
    /// Connects, receives messages and reconnects until `stop` is set.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut event_loop = self.event_loop.lock().await;
        let mut decoder = MessageDecoder::new(self.decode.clone()).with_stamp(self.stamp.clone());
        let mut backoff = Backoff::default();
        let mut subscribed = false;
        while !*stop.borrow() {
            if !self.lease.hold(&mut stop, || self.on_waiting_for_lease()).await {
                return;
            }
            if !self.lease.fence_older_writers().await {
                backoff.wait().await;
                continue;
            }
            self.controls.set_writer(true);
            let connected =
                Box::pin(self.stay_connected(&mut event_loop, &mut decoder, &mut subscribed, &mut stop))
                    .await;
            self.connected().set(0);
            self.connection.end_generation(&mut event_loop);
            if *stop.borrow() {
                return;
            }
            if connected {
                backoff.reset();
            }
            backoff.wait().await;
        }
    }

    /// Handles one connection until it ends. Returns whether the broker accepted it.
    async fn stay_connected(
        &self,
        event_loop: &mut EventLoop,
        decoder: &mut MessageDecoder,
        subscribed: &mut bool,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let mut connected = false;
        let mut renewal = tokio::time::interval(self.lease.renewal_interval());
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let finish = self.finish(stop.clone());
        tokio::pin!(finish);
        let mut give_up_at = None;
        loop {
            // This future must not be dropped before it ends: it may hold a connection attempt or
            // half a packet.
            let poll = event_loop.poll();
            tokio::pin!(poll);
            let event = loop {
                tokio::select! {
                    event = &mut poll => break event,
                    () = self.connection.redelivery_requested() => return connected,
                    _ = renewal.tick() => if !self.lease.renew().await {
                        return connected;
                    },
                    () = &mut finish, if give_up_at.is_none() => {
                        give_up_at = Some(Instant::now() + DISCONNECT_TIMEOUT);
                        if !connected || self.client.try_disconnect().is_err() {
                            return connected;
                        }
                    }
                    () = reached(give_up_at) => return connected,
                }
            };
            match event {
                Ok(Event::Incoming(Incoming::ConnAck(ConnAck { session_present, .. }))) => {
                    connected = true;
                    self.on_connected(session_present, subscribed);
                }
                Ok(Event::Incoming(Incoming::Publish(publish))) if !*stop.borrow() => {
                    self.on_publish(publish, decoder).await;
                }
                Ok(Event::Incoming(Incoming::SubAck(answer))) => self.on_subscribed(&answer),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return connected,
                Ok(_) => {}
                Err(error) => {
                    let MqttOptions { name, address, .. } = &self.options;
                    let error = address.explain(&error);
                    tracing::warn!(error, broker = name, %address, "no connection to the broker; retrying");
                    return connected;
                }
            }
        }
    }

    /// Waits for `stop`, then until every received message is in the log and acknowledged. Then
    /// releases the lease.
    async fn finish(&self, mut stop: watch::Receiver<bool>) {
        if stop.wait_for(|&stop| stop).await.is_err() {
            return std::future::pending().await;
        }
        drop(self.credits.acquire(self.credits.capacity()).await);
        self.lease.release().await;
    }

    fn connected(&self) -> IntGauge {
        self.metrics.mqtt_connected.with_label_values(&[&self.options.name])
    }

    fn on_waiting_for_lease(&self) {
        self.controls.set_writer(false);
        tracing::info!(
            broker = self.options.name,
            "another node holds the subscriptions; waiting for its lease"
        );
    }

    fn on_connected(&self, session_present: bool, subscribed: &mut bool) {
        tracing::info!(
            broker = self.options.name,
            address = %self.options.address,
            session_present,
            "connected to the broker"
        );
        self.metrics.mqtt_connects.with_label_values(&[&self.options.name]).inc();
        // A process also subscribes in a resumed session, once: the topics may have changed since
        // the session began.
        if session_present && *subscribed {
            self.connected().set(1);
            return;
        }
        let topics = self.decode.subscriptions.iter().flat_map(|subscription| &subscription.topics);
        let mut filters: Vec<SubscribeFilter> =
            topics.map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce)).collect();
        filters.push(SubscribeFilter::new(BROKER_DROPPED.to_owned(), QoS::AtMostOnce));
        match self.client.try_subscribe_many(filters) {
            Ok(()) => *subscribed = true,
            Err(error) => tracing::error!(%error, "cannot send the subscription"),
        }
    }

    /// From now on the broker queues messages for this client, so `/readyz` may report ready.
    fn on_subscribed(&self, answer: &SubAck) {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            tracing::error!(broker = self.options.name, "the broker refused a subscription");
        }
        self.connected().set(1);
    }

    pub(super) async fn on_publish(&self, publish: Publish, decoder: &mut MessageDecoder) {
        if publish.topic == BROKER_DROPPED {
            if let Some(dropped) =
                std::str::from_utf8(&publish.payload).ok().and_then(|text| text.parse().ok())
            {
                self.metrics.broker_dropped.with_label_values(&[&self.options.name]).set(dropped);
            }
            return;
        }
        let delivery = self.connection.delivery(&publish);
        let skipped = if publish.retain {
            Some("retained")
        } else {
            decoder.ignore_reason(&publish.topic, &publish.payload).map(IgnoreReason::as_str)
        };
        if let Some(result) = skipped {
            self.metrics.mqtt_messages.with_label_values(&[result]).inc();
            if let Some(delivery) = delivery {
                delivery.acknowledge();
            }
            return;
        }
        let credit = self.credits.acquire(1).await;
        let now_micros = Utc::now().timestamp_micros();
        let records = decoder.decode(&publish.topic, &publish.payload, publish.dup, now_micros);
        send_credited(&self.writer, Append { records, delivery, credit });
    }
}

/// Waits until a time. `None` waits without end.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
