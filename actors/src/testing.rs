//! Actors, stores and readings for the unit tests of several actors.

use std::time::Duration;

use actix::dev::MessageResponse;
use actix::{Actor, Addr, Context, Handler, Message, MessageResult, Recipient, Supervised};
use prometheus::{IntCounter, Registry};
use thicket_connect::TlsSettings;
use thicket_schema::{FieldSet, Item, Reading, Record, SensorName, Timestamp};
use thicket_store::postgres::{PostgresPool, postgres_pool};
use thicket_store::redis::{Client, unconnected_redis};
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::mqtt::{BrokerAddress, LEAST_ANNOUNCED, MqttOptions, Versions};
use crate::supervision::{ExitSignal, Intensity, Supervision, start_here};

/// Starts an actor under a supervision that allows many restarts.
pub(crate) fn start<A: Actor<Context = Context<A>> + Supervised>(actor: A) -> Addr<A> {
    let (exit, _) = ExitSignal::new();
    let intensity = Intensity::new(1_000, Duration::from_secs(1));
    let restarts = IntCounter::new("restarts", "restarts").expect("a valid name");
    start_here(actor, Supervision { actor: "test", intensity, exit, restarts })
}

/// Stands in for another actor. It keeps every message, and answers each with the same function.
struct Recorder<M: Message> {
    received: mpsc::UnboundedSender<M>,
    answer: fn(&M) -> M::Result,
}

impl<M: Message + Unpin + 'static> Actor for Recorder<M> {
    type Context = Context<Self>;
}

impl<M: Message + Unpin + 'static> Supervised for Recorder<M> {}

impl<M> Handler<M> for Recorder<M>
where
    M: Message + Unpin + 'static,
    M::Result: 'static,
    MessageResult<M>: MessageResponse<Self, M>,
{
    type Result = MessageResult<M>;

    fn handle(&mut self, message: M, _: &mut Context<Self>) -> Self::Result {
        let answer = (self.answer)(&message);
        // The test may have ended.
        let _ = self.received.send(message);
        MessageResult(answer)
    }
}

/// Starts a recorder. Returns its address and the messages that it receives.
pub(crate) fn record<M>(answer: fn(&M) -> M::Result) -> (Recipient<M>, mpsc::UnboundedReceiver<M>)
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send,
{
    let (sender, received) = mpsc::unbounded_channel();
    (start(Recorder { received: sender, answer }).recipient(), received)
}

/// Creates metrics in a new registry.
pub(crate) fn metrics() -> Metrics {
    Metrics::new(&Registry::new()).expect("a fresh registry")
}

/// Creates a Redis client that never connects, for tests that must not reach Redis.
pub(crate) fn disconnected_redis() -> Client {
    unconnected_redis().expect("a client without a server")
}

/// Creates a pool without a server, for tests that must not reach PostgreSQL.
pub(crate) fn disconnected_postgres() -> PostgresPool {
    postgres_pool("postgres://thicket@127.0.0.1:1/thicket", 1).expect("a pool without a server")
}

/// Returns the options of a connection to a broker that does not answer.
pub(crate) fn mqtt_options(max_in_flight: u32) -> MqttOptions {
    MqttOptions {
        name: "test".to_owned(),
        address: BrokerAddress::new("mqtt://127.0.0.1:1", TlsSettings::default()).expect("a valid URL"),
        versions: Versions::Auto,
        client_id: "test".to_owned(),
        credentials: None,
        keep_alive: Duration::from_secs(30),
        session_expiry: Some(Duration::from_hours(1)),
        max_in_flight,
        max_packet: LEAST_ANNOUNCED,
    }
}

/// Creates a reading of one field.
pub(crate) fn reading(sensor: &str, ts: i64, value: f64) -> Reading {
    Reading {
        sensor: SensorName::new(sensor).expect("a valid name"),
        ts: Timestamp(ts),
        stamped: false,
        fields: FieldSet::new(vec!["value".to_owned()]).expect("a valid field"),
        values: vec![value],
    }
}

/// Creates the record of a reading. The arrival time is the reading's own timestamp.
pub(crate) fn record_of(reading: Reading) -> Record {
    Record { received: reading.ts.0, redelivered: false, item: Item::Reading(reading) }
}
