//! The MQTT session: connects, subscribes, and turns messages into appends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix::Recipient;
use thicket_store::complaints;
use thicket_store::retry::Backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use super::births::Births;
use super::conflict::{self, End, IdConflict};
use super::controls::ControlPublisher;
use super::decode::{DecodeOptions, MessageDecoder};
use super::kept_session::KeptSession;
use super::registry::Registry;
use super::reorder::Reorder;
use super::stamp::Stamp;
use super::subscription_lease::SubscriptionLease;
use crate::acknowledge::{Delivery, Redelivery};
use crate::credit::{Credit, CreditPool};
use crate::messages::Append;
use crate::metrics::Metrics;
use crate::mqtt::{Client, Event, EventLoop, Failure, MqttOptions, Qos, Refusal, Version, connect};

/// How long to wait until the last acknowledgements and the disconnect packet are sent.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Mosquitto reports here how many messages it has dropped.
pub(super) const BROKER_DROPPED: &str = "$SYS/broker/publish/messages/dropped";

/// The subscriptions at one broker, and the settings and actors for their messages.
pub(super) struct Session {
    pub(super) options: MqttOptions,
    pub(super) decode: DecodeOptions,
    pub(super) stamp: Stamp,
    pub(super) writer: Recipient<Append>,
    pub(super) credits: CreditPool,
    pub(super) redelivery: Redelivery,
    pub(super) lease: Rc<SubscriptionLease>,
    pub(super) metrics: Metrics,
    pub(super) controls: Rc<ControlPublisher>,
    pub(super) registry: Rc<Registry>,
    /// Readings that are held back. Kept when the actor restarts.
    pub(super) reorder: RefCell<Reorder<Waiting>>,
    pub(super) births: Births,
    pub(super) kept: KeptSession,
    /// The term of the lease in which this session last held it. Kept when the actor restarts.
    pub(super) term: Cell<u64>,
    /// Kept when the actor restarts: a panic in the decoder does not end the connection.
    pub(super) connection: tokio::sync::Mutex<Option<Connection>>,
}

/// What a message holds until its records are in the log.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) delivery: Option<Delivery>,
    pub(super) credit: Credit,
}

/// A connection to the broker.
pub(super) struct Connection {
    client: Client,
    event_loop: EventLoop,
    /// When the broker accepted it.
    accepted: Option<Instant>,
    /// Whether the broker answered the request to subscribe.
    subscribed: bool,
}

/// What a session remembers from one connection to the next.
struct Memory {
    decoder: MessageDecoder,
    conflict: IdConflict,
}

impl Session {
    /// Connects, receives messages and reconnects until `stop` is set. Then no reading is held back
    /// any more, and the lease is released, however the last connection ended.
    pub(super) async fn run(&self, stop: watch::Receiver<bool>) {
        self.reconnect(stop).await;
        self.release_all();
        self.lease.release().await;
    }

    async fn reconnect(&self, mut stop: watch::Receiver<bool>) {
        let mut connection = self.connection.lock().await;
        let decoder = MessageDecoder::new(self.decode.clone()).with_stamp(self.stamp.clone());
        let mut memory = Memory { decoder, conflict: IdConflict::default() };
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            let wait = || self.on_waiting_for_lease(&mut memory.conflict);
            let Some(term) = self.lease.hold(&mut stop, wait).await else { return };
            let is_kept = self.term.replace(term) == term;
            if !is_kept {
                // One that has survived a restart of the actor began in an earlier term: the broker must
                // deliver again.
                *connection = None;
            }
            self.metrics.set_subscriptions_held(true);
            if memory.conflict.begins(is_kept) {
                self.on_conflict();
            }
            if memory.conflict.is_lasting() && !self.wait_for_other_client(&mut stop).await {
                continue;
            }
            if !self.lease.fence_older_writers().await {
                backoff.wait().await;
                continue;
            }
            if !self.births.load(&memory.decoder).await {
                backoff.wait().await;
                continue;
            }
            if !self.registry.ensure(term).await {
                backoff.wait().await;
                continue;
            }
            self.controls.set_writer(true);
            let end = self.connect(&mut connection, &mut memory, &mut stop).await;
            *connection = None;
            self.metrics.mqtt_connected.with_label_values(&[&self.options.name]).set(0);
            // The next connection subscribes again.
            self.metrics.mqtt_subscriptions_refused.with_label_values(&[&self.options.name]).set(0);
            self.metrics.mqtt_subscriptions_downgraded.with_label_values(&[&self.options.name]).set(0);
            memory.conflict.on_end(end);
            if *stop.borrow() {
                return;
            }
            if end.was_stable() {
                backoff.reset();
            }
            backoff.wait().await;
        }
    }

    /// Makes one connection, in the first version of the protocol that the broker knows. Returns how
    /// it ended.
    async fn connect(
        &self,
        connection: &mut Option<Connection>,
        memory: &mut Memory,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut versions = self.options.versions.in_order().iter();
        loop {
            // After a restart of the actor there is a connection already.
            let opened = connection
                .take()
                .map_or_else(|| self.open(versions.next().copied().unwrap_or(Version::V3)), Ok);
            let open = match opened {
                Ok(open) => connection.insert(open),
                Err(failure) => {
                    self.on_no_connection(&failure);
                    return End { lasted: None, subscribed: false, failure: Some(failure.kind) };
                }
            };
            let failure = Box::pin(self.stay_connected(open, memory, stop)).await;
            let lasted = open.accepted.map(|accepted| accepted.elapsed());
            let subscribed = open.subscribed;
            let version = open.client.version();
            if let Some(failure) = &failure {
                if lasted.is_none() && failure.may_be_of_version() && versions.len() > 0 && !*stop.borrow() {
                    let broker = &self.options.name;
                    tracing::info!(reason = %failure, broker, "no connection in MQTT {version}; trying an earlier version");
                    *connection = None;
                    continue;
                }
                self.on_no_connection(failure);
            }
            let end = End { lasted, subscribed, failure: failure.map(|failure| failure.kind) };
            if end.is_at_subscription() {
                self.on_end_at_subscription();
            }
            return end;
        }
    }

    fn open(&self, version: Version) -> Result<Connection, Failure> {
        let (client, event_loop) = connect(&self.options, version)?;
        Ok(Connection { client, event_loop, accepted: None, subscribed: false })
    }

    fn on_no_connection(&self, failure: &Failure) {
        let MqttOptions { name, address, .. } = &self.options;
        if let Some(repeated) = complaints::due("connect to the broker", &format_args!("{address} {failure}"))
        {
            tracing::warn!(error = %failure, broker = name, %address, repeated, "no connection to the broker; retrying");
        }
    }

    fn on_end_at_subscription(&self) {
        let broker = &self.options.name;
        if let Some(repeated) = complaints::due("subscribe", broker) {
            tracing::error!(
                broker,
                repeated,
                "the broker closes the connection when the engine subscribes; its access rules may not allow a topic filter (see its log)"
            );
        }
    }

    /// Handles one connection until it ends. Returns why; `None` if this side ends it.
    async fn stay_connected(
        &self,
        connection: &mut Connection,
        memory: &mut Memory,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Failure> {
        let Connection { client, event_loop, accepted, subscribed } = connection;
        let mut lease_checks = tokio::time::interval(self.lease.check_interval());
        lease_checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let finish = self.finish(stop.clone());
        tokio::pin!(finish);
        let mut give_up_at = None;
        loop {
            // This future must not be dropped before it ends: it may hold a connection attempt or
            // half a packet.
            let poll = event_loop.poll();
            tokio::pin!(poll);
            let event = loop {
                let calm_at = accepted.filter(|_| memory.conflict.is_lasting()).map(|at| at + conflict::CALM);
                let next_release = self.reorder.borrow().next_release();
                tokio::select! {
                    // A message after one that the broker must deliver again would overtake it.
                    biased;
                    () = self.redelivery.requested() => return None,
                    _ = lease_checks.tick() => if !self.lease.is_held(self.term.get()) {
                        return None;
                    },
                    () = reached(next_release) => self.release_due(),
                    () = reached(calm_at) => self.on_calm(&mut memory.conflict),
                    () = &mut finish, if give_up_at.is_none() => {
                        give_up_at = Some(Instant::now() + DISCONNECT_TIMEOUT);
                        if accepted.is_none() || client.disconnect().is_err() {
                            return None;
                        }
                    }
                    () = reached(give_up_at) => return None,
                    event = &mut poll => break event,
                }
            };
            match event {
                Ok(Event::Connected { session_present, session_expiry }) => {
                    *accepted = Some(Instant::now());
                    self.on_connected(client, session_present);
                    let (options, metrics) = (&self.options, &self.metrics);
                    self.kept.on_connected(options, metrics, session_present, session_expiry).await;
                }
                Ok(Event::Message(message)) if !*stop.borrow() => {
                    self.on_message(message, client, &memory.decoder).await;
                }
                Ok(Event::Subscribed(results)) => {
                    *subscribed = true;
                    self.on_subscribed(&results);
                    self.kept.on_subscribed(&self.options).await;
                }
                Ok(Event::Disconnected) => return None,
                Ok(_) => {}
                Err(failure) => return Some(failure),
            }
        }
    }

    /// Waits for `stop`, then until every received message is in the log and acknowledged.
    async fn finish(&self, mut stop: watch::Receiver<bool>) {
        if stop.wait_for(|&stop| stop).await.is_err() {
            return std::future::pending().await;
        }
        self.release_all();
        drop(self.credits.acquire(self.credits.capacity()).await);
    }

    /// Waits while another client uses the client id, and keeps the lease. Returns false if the
    /// lease is lost or `stop` is set.
    async fn wait_for_other_client(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let until = Instant::now() + conflict::WAIT;
        let mut lease_checks = tokio::time::interval(self.lease.check_interval());
        loop {
            tokio::select! {
                _ = lease_checks.tick() => if !self.lease.is_held(self.term.get()) {
                    return false;
                },
                _ = stop.wait_for(|&stop| stop) => return false,
                () = tokio::time::sleep_until(until) => return true,
            }
        }
    }

    pub(super) fn on_waiting_for_lease(&self, conflict: &mut IdConflict) {
        // This node does not connect, so no other client is in its way.
        conflict.end();
        self.set_conflict(false);
        self.controls.set_writer(false);
        self.metrics.set_subscriptions_held(false);
        tracing::info!(
            broker = self.options.name,
            "another node holds the subscriptions; waiting for its lease"
        );
    }

    fn on_conflict(&self) {
        let MqttOptions { name, client_id, .. } = &self.options;
        self.set_conflict(true);
        tracing::error!(
            broker = name,
            client_id,
            "another client uses the same client id at the broker, so each gets a part of the messages; give each deployment its own mqtt.client_id"
        );
    }

    fn on_calm(&self, conflict: &mut IdConflict) {
        conflict.end();
        self.set_conflict(false);
        let MqttOptions { name, client_id, .. } = &self.options;
        tracing::info!(broker = name, client_id, "no other client uses the client id any more");
    }

    fn set_conflict(&self, is_lasting: bool) {
        let MqttOptions { name, client_id, .. } = &self.options;
        let conflict = self.metrics.mqtt_client_id_conflict.with_label_values(&[name, client_id]);
        conflict.set(i64::from(is_lasting));
    }

    fn on_connected(&self, client: &Client, session_present: bool) {
        let MqttOptions { name, address, .. } = &self.options;
        let version = client.version();
        tracing::info!(broker = name, %address, %version, session_present, "connected to the broker");
        self.metrics.mqtt_connects.with_label_values(&[name]).inc();
        if session_present {
            // The broker delivers the unacknowledged messages again.
            self.reorder.borrow_mut().forget(|waiting| waiting.delivery.is_some());
            self.count_held();
        }
        // Also in a resumed session: the topics may have changed since the session began, and a
        // broker that was killed may have kept the session without its subscriptions.
        if let Err(error) = client.subscribe(&self.filters(), Qos::AtLeastOnce) {
            tracing::error!(%error, "cannot send the subscription");
        }
    }

    /// Returns the filters to subscribe to. The last one is not of the configuration.
    fn filters(&self) -> Vec<String> {
        let topics = self.decode.subscriptions.iter().flat_map(|subscription| &subscription.topics);
        topics.cloned().chain([BROKER_DROPPED.to_owned()]).collect()
    }

    /// If the broker accepts every filter, it queues messages for this client from now on, so
    /// `/readyz` may report ready.
    fn on_subscribed(&self, results: &[Result<Qos, Refusal>]) {
        let broker = &self.options.name;
        let (mut refused, mut downgraded) = (0, 0);
        for (filter, result) in self.filters().iter().zip(results) {
            let is_own = filter != BROKER_DROPPED;
            match result {
                Err(reason) if is_own => {
                    refused += 1;
                    tracing::error!(broker, filter, %reason, "the broker refused a subscription; none of its messages arrives");
                }
                Err(reason) => {
                    tracing::info!(broker, %reason, "the broker does not tell how many messages it drops");
                }
                Ok(Qos::AtMostOnce) if is_own => {
                    downgraded += 1;
                    tracing::error!(
                        broker,
                        filter,
                        "the broker grants a subscription at QoS 0 only; messages are lost while the engine is away"
                    );
                }
                Ok(_) => {}
            }
        }
        self.metrics.mqtt_subscriptions_refused.with_label_values(&[broker]).set(refused);
        self.metrics.mqtt_subscriptions_downgraded.with_label_values(&[broker]).set(downgraded);
        self.metrics.mqtt_connected.with_label_values(&[broker]).set(i64::from(refused == 0));
    }
}

/// Waits until a time. `None` waits without end.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
