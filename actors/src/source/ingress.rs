//! The actor that holds the MQTT subscriptions: at each broker one client id, a persistent session,
//! QoS 1, and manual acknowledgements.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient, ResponseFuture, Supervised,
    WrapFuture as _,
};
use futures_util::future::join_all;
use thicket_schema::Keys;
use thicket_store::postgres::PostgresPool;
use thicket_store::redis::{BirthStore, Client, Leases, LogReader, SessionMark};
use tokio::sync::watch;

use super::births::Births;
use super::controls::ControlPublisher;
use super::decode::DecodeOptions;
use super::kept_session::KeptSession;
use super::registry::{IntakeLimits, Registry};
use super::reorder::Reorder;
use super::session::Session;
use super::stamp::Stamp;
use super::subscription_lease::{SubscriptionKeys, SubscriptionLease, TermStores};
use crate::acknowledge::Redelivery;
use crate::credit::CreditPool;
use crate::messages::{Append, AppendControls, Drain, FenceWriters, Reload};
use crate::metrics::Metrics;
use crate::mqtt::MqttOptions;
use crate::ownership::Renewal;

/// The addresses of the queue writer.
#[derive(Clone, Debug)]
pub struct LogWriter {
    /// Appends messages.
    pub append: Recipient<Append>,
    /// Appends control entries.
    pub controls: Recipient<AppendControls>,
    /// Takes over the logs.
    pub fence: Recipient<FenceWriters>,
}

/// A broker: its connection, and how its messages become readings.
pub struct Broker {
    /// Asks for a new connection.
    pub redelivery: Redelivery,
    /// The settings of the connection.
    pub options: MqttOptions,
    /// The subscriptions.
    pub decode: DecodeOptions,
    /// How long readings are held back to put them in order; zero for not at all.
    pub reorder: Duration,
}

/// The actors and stores that an ingress uses.
#[derive(Clone)]
pub struct IngressPeers {
    /// Writes the logs.
    pub writer: LogWriter,
    /// Leases in the name of this node.
    pub leases: Leases,
    /// Renews the lease of the subscriptions.
    pub renewal: Renewal,
    /// The keys of the subscriptions.
    pub keys: SubscriptionKeys,
    /// Holds the log and the Sparkplug births, under the keys of the deployment.
    pub redis: (Client, Keys),
    /// Reads the labels and configurations to publish, and what is known of sensors.
    pub pool: PostgresPool,
    /// The limits on what messages add.
    pub limits: IntakeLimits,
    /// The configuration of all sensors, as JSON.
    pub detectors: Arc<str>,
    /// The name of the deployment.
    pub deployment: String,
}

/// The actor that holds the subscriptions of all brokers.
pub struct MqttIngress {
    sessions: Vec<Rc<Session>>,
    controls: Rc<ControlPublisher>,
    registry: Rc<Registry>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl MqttIngress {
    /// Creates an ingress. It connects to all brokers as soon as it holds the lease.
    pub fn new(brokers: Vec<Broker>, peers: IngressPeers, metrics: &Metrics) -> Self {
        let IngressPeers { writer, leases, renewal, keys, redis, pool, limits, detectors, deployment } =
            peers;
        let (redis, names) = redis;
        // The decoders of all brokers have the same number.
        let partitions = brokers.first().map_or(0, |broker| broker.decode.partitions);
        let log = LogReader::new(redis.clone(), redis.clone(), names.clone());
        let name_bytes = metrics.field_name_bytes.clone();
        let logs = (log.clone(), partitions);
        let registry = Rc::new(Registry::new(pool.clone(), log, partitions, limits, name_bytes));
        let stores = TermStores { redis: redis.clone(), keys: names.clone(), deployment, pool: pool.clone() };
        let controls = Rc::new(ControlPublisher::new(pool, logs, writer.controls, detectors));
        let lease =
            Rc::new(SubscriptionLease::new(leases, renewal, keys, stores, writer.fence, brokers.len()));
        let stamp = Stamp::default();
        let session = |Broker { redelivery, options, decode, reorder }: Broker| {
            metrics.mqtt_connected.with_label_values(&[&options.name]).set(0);
            metrics.mqtt_connects.with_label_values(&[&options.name]).inc_by(0);
            metrics.mqtt_client_id_conflict.with_label_values(&[&options.name, &options.client_id]).set(0);
            metrics.mqtt_subscriptions_refused.with_label_values(&[&options.name]).set(0);
            metrics.mqtt_subscriptions_downgraded.with_label_values(&[&options.name]).set(0);
            metrics.mqtt_sessions_lost.with_label_values(&[&options.name]).inc_by(0);
            metrics.reorder_held.with_label_values(&[&options.name]).set(0);
            // The other half is for messages on their way to the log.
            let held = options.max_in_flight as usize / 2;
            let births_key = names.births(&options.client_id);
            let place = format!("{} at {}", options.client_id, options.address);
            let mark = SessionMark::new(redis.clone(), names.sessions(), place);
            Rc::new(Session {
                credits: CreditPool::new(options.max_in_flight),
                options,
                decode,
                stamp: stamp.clone(),
                writer: writer.append.clone(),
                redelivery,
                reorder: RefCell::new(Reorder::new(reorder, held)),
                lease: Rc::clone(&lease),
                metrics: metrics.clone(),
                controls: Rc::clone(&controls),
                registry: Rc::clone(&registry),
                term: Cell::new(0),
                connection: tokio::sync::Mutex::new(None),
                kept: KeptSession::new(mark),
                births: Births::new(BirthStore::new(redis.clone(), births_key)),
            })
        };
        let sessions = brokers.into_iter().map(session).collect();
        Self {
            sessions,
            controls,
            registry,
            stop: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        }
    }
}

impl Actor for MqttIngress {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.spawn(Rc::clone(&self.controls).run().into_actor(self));
        context.spawn(Rc::clone(&self.registry).run().into_actor(self));
        let runs = self.sessions.iter().map(|session| {
            let (session, stop) = (Rc::clone(session), self.stop.subscribe());
            async move { Box::pin(session.run(stop)).await }
        });
        context.spawn(join_all(runs).into_actor(self).map(|_, this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for MqttIngress {}

impl Handler<Reload> for MqttIngress {
    type Result = ();

    fn handle(&mut self, Reload { detectors }: Reload, _: &mut Context<Self>) {
        self.controls.replace(detectors);
    }
}

impl Handler<Drain> for MqttIngress {
    type Result = ResponseFuture<()>;

    /// Receives no more messages, waits until all received messages are in the log and
    /// acknowledged, and disconnects.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        Box::pin(async move { drop(ended.wait_for(|&ended| ended).await) })
    }
}

#[cfg(test)]
mod tests;
