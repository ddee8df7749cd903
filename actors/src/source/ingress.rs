//! The actor that holds the MQTT subscription: one client id, a persistent session, QoS 1, and
//! manual acknowledgements.

use std::rc::Rc;
use std::sync::Arc;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient, ResponseFuture, Supervised,
    WrapFuture as _,
};
use thicket_store::postgres::PostgresPool;
use thicket_store::redis::Leases;
use tokio::sync::watch;

use super::controls::ControlPublisher;
use super::decode::DecodeOptions;
use super::session::{MqttClient, MqttOptions, Session};
use super::subscription_lease::{SubscriptionKeys, SubscriptionLease};
use crate::acknowledge::Connection;
use crate::credit::CreditPool;
use crate::messages::{Append, AppendControls, Drain, FenceWriters, Reload};
use crate::metrics::Metrics;

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

/// The actors and stores that an ingress uses.
#[derive(Clone)]
pub struct IngressPeers {
    /// The connection on which its deliveries are acknowledged.
    pub connection: Connection,
    /// Writes the logs.
    pub writer: LogWriter,
    /// Leases in the name of this node.
    pub leases: Leases,
    /// The keys of the subscription.
    pub keys: SubscriptionKeys,
    /// Reads the labels and configurations to publish.
    pub pool: PostgresPool,
    /// The configuration of all sensors, as JSON.
    pub detectors: Arc<str>,
}

/// The actor that holds the subscription.
pub struct MqttIngress {
    session: Rc<Session>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl MqttIngress {
    /// Creates an ingress. It connects as soon as it holds the lease of its client id.
    pub fn new(
        client: MqttClient,
        options: MqttOptions,
        decode: DecodeOptions,
        peers: IngressPeers,
        metrics: Metrics,
    ) -> Self {
        let IngressPeers { connection, writer, leases, keys, pool, detectors } = peers;
        let credits = CreditPool::new(options.max_in_flight);
        let controls = Rc::new(ControlPublisher::new(pool, writer.controls, detectors));
        let session = Session {
            options,
            decode,
            writer: writer.append,
            credits,
            connection,
            client: client.client,
            lease: SubscriptionLease::new(leases, keys, writer.fence),
            metrics,
            controls,
            event_loop: tokio::sync::Mutex::new(client.event_loop),
        };
        Self { session: Rc::new(session), stop: watch::Sender::new(false), ended: watch::Sender::new(false) }
    }
}

impl Actor for MqttIngress {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let session = Rc::clone(&self.session);
        let stop = self.stop.subscribe();
        context.spawn(Rc::clone(&session.controls).run().into_actor(self));
        let run = async move { session.run(stop).await };
        context.spawn(run.into_actor(self).map(|(), this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for MqttIngress {}

impl Handler<Reload> for MqttIngress {
    type Result = ();

    fn handle(&mut self, Reload { detectors }: Reload, _: &mut Context<Self>) {
        self.session.controls.replace(detectors);
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
