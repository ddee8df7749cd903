//! Acknowledges MQTT messages on the connection that delivered them.
//!
//! An acknowledgement carries only a packet id, and a packet id has no meaning on another
//! connection. So each delivery carries the generation of its connection. A delivery of an older
//! generation is not acknowledged, and the broker delivers the message again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::{AsyncClient, EventLoop, Publish, QoS};
use tokio::sync::Notify;

/// The current connection to the broker, shared by the ingress and its deliveries.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    broken: Notify,
}

#[derive(Debug)]
struct State {
    generation: u64,
    client: AsyncClient,
}

impl Connection {
    /// Creates a connection of generation 0 over the given client.
    pub fn new(client: AsyncClient) -> Self {
        let state = Mutex::new(State { generation: 0, client });
        Self { shared: Arc::new(Shared { state, broken: Notify::new() }) }
    }

    /// Returns the delivery of a message on the current connection, or `None` if the message needs
    /// no acknowledgement.
    pub fn delivery(&self, publish: &Publish) -> Option<Delivery> {
        if publish.qos == QoS::AtMostOnce {
            return None;
        }
        Some(Delivery { packet: publish.pkid, generation: self.lock().generation, connection: self.clone() })
    }

    /// Ends the current generation: its deliveries are not acknowledged any more. Also drops the
    /// acknowledgements that the event loop has not sent yet.
    pub fn end_generation(&self, event_loop: &mut EventLoop) {
        let mut state = self.lock();
        state.generation += 1;
        event_loop.clean();
    }

    /// Asks the ingress to reconnect, so that the broker redelivers every unacknowledged message.
    pub fn request_redelivery(&self) {
        self.shared.broken.notify_one();
    }

    /// Waits until redelivery is requested.
    pub async fn redelivery_requested(&self) {
        self.shared.broken.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that waits for its acknowledgement. If the delivery is dropped without
/// [`Delivery::acknowledge`], the broker delivers the message again after the next reconnect.
#[derive(Debug)]
pub struct Delivery {
    packet: u16,
    generation: u64,
    connection: Connection,
}

impl Delivery {
    /// Acknowledges the message, unless its connection is gone.
    pub fn acknowledge(self) {
        let state = self.connection.lock();
        if state.generation != self.generation {
            return;
        }
        let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
        publish.pkid = self.packet;
        publish.payload = Bytes::new();
        // The lock is held, so no generation ends between the check and this call. The queue has
        // room for every packet id, so the call fails only if the event loop is gone. Then the
        // broker delivers the message again.
        if let Err(error) = state.client.try_ack(&publish) {
            tracing::debug!(%error, packet = self.packet, "cannot send the acknowledgement; the broker delivers the message again");
        }
    }
}
