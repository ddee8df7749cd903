//! The two halves of a connection: a client that sends requests, and an event loop that carries
//! them out.

use super::address::{BrokerAddress, BrokerAddressError};
use super::events::{Event, Failure, FailureKind};
use super::options::{MqttOptions, Qos, Version};
use super::{v3, v5};

/// Requests that can be queued: an acknowledgement for each of the 2^16 packet ids, and as many
/// others.
const REQUEST_QUEUE: usize = 2 * 65_536;

/// Sends requests to the event loop of one connection.
#[derive(Clone, Debug)]
pub enum Client {
    /// MQTT 3.1.1.
    V3(rumqttc::AsyncClient),
    /// MQTT 5.
    V5(rumqttc::v5::AsyncClient),
}

/// Makes one connection: connects, sends and receives. Dropping it ends the connection.
pub struct EventLoop {
    address: BrokerAddress,
    library: Library,
}

/// The event loop of the library.
enum Library {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

/// The event loop of a request is gone: its connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct ConnectionGone;

/// Creates a connection. It connects when its event loop is polled.
///
/// # Errors
/// Fails if the files of TLS cannot be read.
pub fn connect(options: &MqttOptions, version: Version) -> Result<(Client, EventLoop), Failure> {
    let unusable = |error: BrokerAddressError| Failure::new(FailureKind::Unreachable, error.to_string());
    let (client, library) = match version {
        Version::V3 => {
            let mqtt = v3::options(options).map_err(unusable)?;
            let (client, event_loop) = rumqttc::AsyncClient::new(mqtt, REQUEST_QUEUE);
            (Client::V3(client), Library::V3(Box::new(event_loop)))
        }
        Version::V5 => {
            let mqtt = v5::options(options).map_err(unusable)?;
            let (client, event_loop) = rumqttc::v5::AsyncClient::new(mqtt, REQUEST_QUEUE);
            (Client::V5(client), Library::V5(Box::new(event_loop)))
        }
    };
    Ok((client, EventLoop { address: options.address.clone(), library }))
}

/// Connects in the first version that the broker knows. Returns once it accepts the connection.
///
/// # Errors
/// Returns why the broker does not accept it.
pub async fn open(options: &MqttOptions) -> Result<(Client, EventLoop), Failure> {
    let mut versions = options.versions.in_order().iter();
    loop {
        let version = versions.next().copied().unwrap_or(Version::V3);
        let (client, mut event_loop) = connect(options, version)?;
        let accepted = loop {
            match event_loop.poll().await {
                Ok(Event::Connected { .. }) => break Ok(()),
                Ok(_) => {}
                Err(failure) => break Err(failure),
            }
        };
        match accepted {
            Ok(()) => return Ok((client, event_loop)),
            Err(failure) if failure.may_be_of_version() && versions.len() > 0 => {}
            Err(failure) => return Err(failure),
        }
    }
}

impl Client {
    /// Returns the version of the protocol.
    pub const fn version(&self) -> Version {
        match self {
            Self::V3(_) => Version::V3,
            Self::V5(_) => Version::V5,
        }
    }

    /// Subscribes to filters, at least one. The answer is one [`Event::Subscribed`].
    ///
    /// # Errors
    /// Also fails if MQTT does not allow a filter.
    pub fn subscribe(&self, filters: &[String], qos: Qos) -> Result<(), ConnectionGone> {
        match self {
            Self::V3(client) => {
                client.try_subscribe_many(v3::filters(filters, qos)).map_err(|_| ConnectionGone)
            }
            Self::V5(client) => {
                client.try_subscribe_many(v5::filters(filters, qos)).map_err(|_| ConnectionGone)
            }
        }
    }

    /// Publishes a message. At QoS 1, one [`Event::Published`] follows.
    pub fn publish(&self, topic: &str, payload: Vec<u8>, qos: Qos) -> Result<(), ConnectionGone> {
        self.try_publish(topic, payload, qos, false)
    }

    /// Publishes a message that the broker retains. An empty payload removes the retained message.
    pub fn publish_retained(&self, topic: &str, payload: Vec<u8>, qos: Qos) -> Result<(), ConnectionGone> {
        self.try_publish(topic, payload, qos, true)
    }

    fn try_publish(
        &self,
        topic: &str,
        payload: Vec<u8>,
        qos: Qos,
        is_retained: bool,
    ) -> Result<(), ConnectionGone> {
        match self {
            Self::V3(client) => {
                client.try_publish(topic, v3::qos(qos), is_retained, payload).map_err(|_| ConnectionGone)
            }
            Self::V5(client) => {
                client.try_publish(topic, v5::qos(qos), is_retained, payload).map_err(|_| ConnectionGone)
            }
        }
    }

    /// Acknowledges a message of this connection.
    pub fn acknowledge(&self, packet: u16) -> Result<(), ConnectionGone> {
        match self {
            Self::V3(client) => client.try_ack(&v3::publish(packet)).map_err(|_| ConnectionGone),
            Self::V5(client) => client.try_ack(&v5::publish(packet)).map_err(|_| ConnectionGone),
        }
    }

    /// Ends the connection. [`Event::Disconnected`] follows once the packet is sent.
    pub fn disconnect(&self) -> Result<(), ConnectionGone> {
        match self {
            Self::V3(client) => client.try_disconnect().map_err(|_| ConnectionGone),
            Self::V5(client) => client.try_disconnect().map_err(|_| ConnectionGone),
        }
    }
}

impl EventLoop {
    /// Waits for the next event. After a failure, the connection must be dropped.
    ///
    /// The future must not be dropped before it ends: it may hold a connection attempt or half a
    /// packet.
    pub async fn poll(&mut self) -> Result<Event, Failure> {
        // The library fails if a ping is not answered before the next one is due. Under load, the
        // answer waits behind thousands of messages. Each of them shows as well that the broker is
        // there, so only a silent broker is left.
        match &mut self.library {
            Library::V3(event_loop) => {
                let polled = event_loop.poll().await;
                if matches!(polled, Ok(rumqttc::Event::Incoming(_))) {
                    event_loop.state.await_pingresp = false;
                }
                v3::event(polled, &self.address)
            }
            Library::V5(event_loop) => {
                let polled = event_loop.poll().await;
                if matches!(polled, Ok(rumqttc::v5::Event::Incoming(_))) {
                    event_loop.state.await_pingresp = false;
                }
                v5::event(polled, &self.address)
            }
        }
    }
}

#[cfg(test)]
mod tests;
