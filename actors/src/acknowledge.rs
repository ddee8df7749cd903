//! Acknowledges MQTT messages on the connection that delivered them.
//!
//! An acknowledgement carries only a packet id, and a packet id has no meaning on another
//! connection. So each delivery holds the client of its own connection. Once that connection has
//! ended, its acknowledgements reach no broker, and the broker delivers the messages again.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::mqtt::Client;

/// Asks the ingress for a new connection to a broker, so that the broker delivers every
/// unacknowledged message again. Clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub struct Redelivery {
    requested: Arc<Notify>,
}

impl Redelivery {
    /// Asks for a new connection.
    pub fn request(&self) {
        self.requested.notify_one();
    }

    /// Waits until a new connection is requested.
    pub async fn requested(&self) {
        self.requested.notified().await;
    }
}

/// A message that waits for its acknowledgement. If the delivery is dropped without
/// [`Delivery::acknowledge`], the broker delivers the message again after the next reconnect.
#[derive(Debug)]
pub struct Delivery {
    client: Client,
    packet: u16,
}

impl Delivery {
    /// Creates the delivery of a message. `packet` is its id on the connection of the client.
    pub const fn new(client: Client, packet: u16) -> Self {
        Self { client, packet }
    }

    /// Acknowledges the message, unless its connection has ended.
    pub fn acknowledge(self) {
        // The queue of requests has room for every packet id, so this fails only if the event loop
        // is gone.
        if let Err(error) = self.client.acknowledge(self.packet) {
            tracing::debug!(%error, packet = self.packet, "no acknowledgement; the broker delivers the message again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{Version, connect};
    use crate::testing::mqtt_options;

    /// Deliveries of an earlier connection can never acknowledge a message of a later one, which
    /// may have the same packet id.
    #[tokio::test]
    async fn a_connection_that_has_ended_acknowledges_no_message() {
        let options = mqtt_options(8);
        for version in [Version::V3, Version::V5] {
            let (client, event_loop) = connect(&options, version).unwrap();
            assert!(client.acknowledge(7).is_ok(), "the request waits in the queue");
            drop(event_loop);
            assert!(client.acknowledge(7).is_err(), "{version}");
            Delivery::new(client, 7).acknowledge();
        }
    }
}
