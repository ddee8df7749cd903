//! The MQTT subscription: one client id, a persistent session, QoS 1, acknowledgements by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, ResponseFuture, Supervised,
    WrapFuture as _,
};
use chrono::Utc;
use rumqttc::{
    AsyncClient, ConnAck, Event, EventLoop, Incoming, Outgoing, Publish, QoS, SubAck, SubscribeFilter,
    SubscribeReasonCode,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::controls::ControlPublisher;
use crate::acknowledge::Connection;
use super::decode::{DecodeOptions, MessageDecoder};
use thicket_store::postgres::PostgresPool;
use crate::credit::{CreditPool, send_credited};
use crate::messages::{Append, Drain, Reload, FenceWriters};
use crate::metrics::Metrics;
use crate::queue::{LeaseState, Leases, QueueWriter};

/// MQTT's own limit of a packet. The payload limit is the decoder's: a library that refuses a large packet can only
/// disconnect, and the broker would deliver it again for ever.
const LARGEST_PACKET: usize = 268_435_455;
/// Packet ids are 16 bits: so many acknowledgements can be queued at once, and as many again while a connection breaks.
const REQUEST_QUEUE: usize = 2 * 65_536;
/// How often it is asked whether a subscription that is another node's has become free.
const LEASE_LOOK: Duration = Duration::from_millis(250);
const RECONNECT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(5);
const DISCONNECT_PATIENCE: Duration = Duration::from_secs(2);
const BROKER_DROPPED: &str = "$SYS/broker/publish/messages/dropped";

/// How the ingress subscribes.
#[derive(Clone, Debug)]
pub struct MqttOptions {
    /// The broker's host.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// The client id, which names the persistent session.
    pub client_id: String,
    /// User and password, where the broker is_unread them.
    pub credentials: Option<(String, String)>,
    /// Topic filters.
    pub topics: Vec<String>,
    /// Interval of pings.
    pub keep_alive: Duration,
    /// Most messages between broker and log.
    pub max_in_flight: u32,
}

/// The actor that holds the subscription.
pub struct MqttIngress {
    subscription: Rc<Subscription>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

struct Subscription {
    options: MqttOptions,
    decode: DecodeOptions,
    writer: Addr<QueueWriter>,
    credits: CreditPool,
    connection: Connection,
    client: AsyncClient,
    leases: Leases,
    lease_key: String,
    metrics: Metrics,
    announcer: Rc<ControlPublisher>,
    /// Whether the logs are this node's, since it last got the lease.
    writers_fenced: Cell<bool>,
    ingress_epoch_key: String,
    /// The event loop outlives a restart of the actor: a panic in decoding is no reason to lose the connection.
    event_loop: tokio::sync::Mutex<EventLoop>,
}

/// The client and the event loop of a subscription, made before the actors that share the connection.
pub struct MqttClient {
    client: AsyncClient,
    event_loop: EventLoop,
}

impl MqttClient {
    /// A client that is not connected yet.
    pub fn new(options: &MqttOptions) -> Self {
        let mut mqtt = rumqttc::MqttOptions::new(&options.client_id, &options.host, options.port);
        mqtt.set_clean_session(false)
            .set_manual_acks(true)
            .set_keep_alive(options.keep_alive)
            .set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET);
        if let Some((user, password)) = &options.credentials {
            mqtt.set_credentials(user, password);
        }
        let (client, event_loop) = AsyncClient::new(mqtt, REQUEST_QUEUE);
        Self { client, event_loop }
    }

    /// What deliveries are stamped with.
    pub fn connection(&self) -> Connection {
        Connection::new(self.client.clone())
    }
}

impl MqttIngress {
    /// An ingress that connects when it starts, as soon as it holds the lease of its client id.
    #[expect(clippy::too_many_arguments, reason = "composition: each is used as it is")]
    pub fn new(
        client: MqttClient,
        connection: Connection,
        options: MqttOptions,
        decode: DecodeOptions,
        writer: Addr<QueueWriter>,
        leases: Leases,
        (lease_key, ingress_epoch_key): (String, String),
        (pool, detectors): (PostgresPool, Arc<str>),
        metrics: Metrics,
    ) -> Self {
        let credits = CreditPool::new(options.max_in_flight);
        let MqttClient { client, event_loop } = client;
        let event_loop = tokio::sync::Mutex::new(event_loop);
        let announcer = Rc::new(ControlPublisher::new(pool, writer.clone(), detectors));
        let subscription = Subscription {
            options,
            decode,
            writer,
            credits,
            connection,
            client,
            leases,
            lease_key,
            metrics,
            announcer,
            writers_fenced: Cell::new(false),
            ingress_epoch_key,
            event_loop,
        };
        Self {
            subscription: Rc::new(subscription),
            stop: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        }
    }
}

impl Actor for MqttIngress {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let subscription = Rc::clone(&self.subscription);
        let stop = self.stop.subscribe();
        context.spawn(Rc::clone(&subscription.announcer).run().into_actor(self));
        let run = async move { subscription.run(stop).await };
        context.spawn(run.into_actor(self).map(|(), this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for MqttIngress {}

impl Handler<Reload> for MqttIngress {
    type Result = ();

    fn handle(&mut self, Reload { detectors }: Reload, _: &mut Context<Self>) {
        self.subscription.announcer.replace(detectors);
    }
}

impl Handler<Drain> for MqttIngress {
    type Result = ResponseFuture<()>;

    /// Stops taking messages, waits until those taken are in the log and acknowledged, and disconnects.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        Box::pin(async move { drop(ended.wait_for(|&ended| ended).await) })
    }
}

impl Subscription {
    async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut event_loop = self.event_loop.lock().await;
        let mut decoder = MessageDecoder::new(self.decode.clone());
        let mut pause = RECONNECT_MIN;
        let mut subscribed = false;
        while !*stop.borrow() {
            if !self.hold_lease(&mut stop).await {
                return;
            }
            if !self.writers_fenced.get() && !self.fence_older_writers().await {
                tokio::time::sleep(pause).await;
                continue;
            }
            self.announcer.set_writer(true);
            let connected =
                self.stay_connected(&mut event_loop, &mut decoder, &mut subscribed, &mut stop).await;
            self.metrics.mqtt_connected.set(0);
            self.connection.end_generation(&mut event_loop);
            if *stop.borrow() {
                return;
            }
            pause = if connected { RECONNECT_MIN } else { (pause * 2).min(RECONNECT_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until this node holds the subscription's lease; false if it was told to stop instead.
    async fn hold_lease(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut announced = false;
        loop {
            match self.leases.acquire(self.lease_key.clone()).await {
                Ok(LeaseState::Renewed) => return true,
                Ok(LeaseState::Acquired) => {
                    self.writers_fenced.set(false);
                    return true;
                }
                Ok(LeaseState::HeldByOther) if !announced => {
                    self.announcer.set_writer(false);
                    announced = true;
                    tracing::info!(
                        client_id = self.options.client_id,
                        "another node holds the subscription; waiting for its lease"
                    );
                }
                Ok(LeaseState::HeldByOther) => {}
                Err(error) => tracing::warn!(%error, "the subscription's lease cannot be read; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep((self.leases.ttl() / 3).min(LEASE_LOOK)) => {}
                _ = stop.wait_for(|&stop| stop) => return false,
            }
        }
    }

    /// Opens every log, so that whoever held the subscription before appends nothing more; false if that did not succeed.
    async fn fence_older_writers(&self) -> bool {
        let wall_ms = Utc::now().timestamp_millis().cast_unsigned();
        match self.leases.next_ingress_epoch(self.ingress_epoch_key.clone(), wall_ms).await {
            Ok(ingress_epoch) => self.writers_fenced.set(self.writer.send(FenceWriters { ingress_epoch }).await.unwrap_or(false)),
            Err(error) => tracing::warn!(%error, "the logs cannot be taken over; trying again"),
        }
        self.writers_fenced.get()
    }

    /// Handles one connection until it ends; returns whether it ever was one.
    async fn stay_connected(
        &self,
        event_loop: &mut EventLoop,
        decoder: &mut MessageDecoder,
        subscribed: &mut bool,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let mut connected = false;
        let mut renewal = tokio::time::interval(self.leases.ttl() / 3);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let finish = self.finish(stop.clone());
        tokio::pin!(finish);
        let mut give_up_at = None;
        loop {
            // Not dropped before it ends: a connection that is being made, or a packet that is being sent, would be lost.
            let poll = event_loop.poll();
            tokio::pin!(poll);
            let event = loop {
                tokio::select! {
                    event = &mut poll => break event,
                    () = self.connection.redelivery_requested() => return connected,
                    _ = renewal.tick() => if !self.renew().await {
                        return connected;
                    },
                    () = &mut finish, if give_up_at.is_none() => {
                        give_up_at = Some(Instant::now() + DISCONNECT_PATIENCE);
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
                    let (host, port) = (&self.options.host, self.options.port);
                    tracing::warn!(%error, host, port, "no connection to the broker; trying again");
                    return connected;
                }
            }
        }
    }

    /// Renews the lease of the subscription; false if another node has it, or may have had it meanwhile.
    async fn renew(&self) -> bool {
        match self.leases.acquire(self.lease_key.clone()).await {
            Ok(LeaseState::HeldByOther) => {
                tracing::warn!("another node took the subscription over");
                self.writers_fenced.set(false);
                return false;
            }
            Ok(LeaseState::Acquired) => {
                tracing::warn!("the subscription's lease had run out; connecting anew");
                self.writers_fenced.set(false);
                return false;
            }
            Ok(LeaseState::Renewed) => {}
            Err(error) => tracing::warn!(%error, "the subscription's lease was not renewed"),
        }
        true
    }

    /// Ends once the ingress was told to stop and everything it took is in the log and acknowledged.
    async fn finish(&self, mut stop: watch::Receiver<bool>) {
        if stop.wait_for(|&stop| stop).await.is_err() {
            return std::future::pending().await;
        }
        drop(self.credits.acquire(self.credits.capacity()).await);
        if let Err(error) = self.leases.release(self.lease_key.clone()).await {
            tracing::warn!(%error, "the subscription's lease was not released");
        }
    }

    fn on_connected(&self, session_present: bool, subscribed: &mut bool) {
        tracing::info!(
            host = self.options.host,
            port = self.options.port,
            session_present,
            "connected to the broker"
        );
        self.metrics.mqtt_connects.inc();
        // The first time too, since the topics may have changed since the session began.
        if session_present && *subscribed {
            self.metrics.mqtt_connected.set(1);
            return;
        }
        let mut filters: Vec<SubscribeFilter> = self
            .options
            .topics
            .iter()
            .map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce))
            .collect();
        filters.push(SubscribeFilter::new(BROKER_DROPPED.to_owned(), QoS::AtMostOnce));
        match self.client.try_subscribe_many(filters) {
            Ok(()) => *subscribed = true,
            Err(error) => tracing::error!(%error, "subscription not sent"),
        }
    }

    /// Only now does the broker keep what is published: who waits for `/readyz` may publish.
    fn on_subscribed(&self, answer: &SubAck) {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            tracing::error!(topics = ?self.options.topics, "the broker refused a subscription");
        }
        self.metrics.mqtt_connected.set(1);
    }

    async fn on_publish(&self, publish: Publish, decoder: &mut MessageDecoder) {
        if publish.topic == BROKER_DROPPED {
            if let Some(dropped) =
                std::str::from_utf8(&publish.payload).ok().and_then(|text| text.parse().ok())
            {
                self.metrics.broker_dropped.set(dropped);
            }
            return;
        }
        let delivery = self.connection.delivery(&publish);
        if publish.retain {
            self.metrics.mqtt_messages.with_label_values(&["retained"]).inc();
            if let Some(delivery) = delivery {
                delivery.acknowledge();
            }
            return;
        }
        let credit = self.credits.acquire(1).await;
        let now_micros = Utc::now().timestamp_micros();
        let (partition, records) = decoder.decode(&publish.topic, &publish.payload, publish.dup, now_micros);
        send_credited(&self.writer, Append { partition, records, delivery, credit });
    }
}

/// Waits until a time that has been set.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
