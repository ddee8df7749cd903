//! The settings of a connection.

use std::fmt;
use std::time::Duration;

use super::address::BrokerAddress;

/// The largest packet that MQTT allows, in bytes. With MQTT 3.1.1, a client cannot announce a
/// limit. The library must not enforce one: it could only disconnect, and the broker would deliver
/// the packet again without end.
pub(super) const LARGEST_PACKET: u32 = 268_435_460;

/// The least limit of a packet that is announced to a broker, in bytes: 16 MiB, what the shipped
/// broker accepts of devices, and room for topic and properties. A message beyond the limit of
/// payloads is a dead letter. The broker drops a message beyond this limit: without it, one message
/// could take 256 MiB of memory, and would come again after a crash.
pub const LEAST_ANNOUNCED: u32 = (16 << 20) + PACKET_ROOM;
/// Room for the topic and the properties of a packet, in bytes.
const PACKET_ROOM: u32 = 1 << 20;

/// Returns the limit of a packet to announce, if the largest payload of a reading has this many
/// bytes.
pub fn announced_packet(largest_payload: usize) -> u32 {
    let payload = u32::try_from(largest_payload).unwrap_or(u32::MAX);
    payload.saturating_add(PACKET_ROOM).clamp(LEAST_ANNOUNCED, LARGEST_PACKET)
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        })
    }
}

/// The quality of service of a subscription or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// QoS 0: a message can be lost, and is not acknowledged.
    AtMostOnce,
    /// QoS 1: a message is delivered until it is acknowledged.
    AtLeastOnce,
}

/// The versions of the protocol that a connection may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// MQTT 5, or 3.1.1 if the broker does not know MQTT 5.
    Auto,
    /// One version.
    Only(Version),
}

impl Versions {
    /// Returns the versions in the order to try them.
    pub const fn in_order(self) -> &'static [Version] {
        match self {
            Self::Auto => &[Version::V5, Version::V3],
            Self::Only(Version::V5) => &[Version::V5],
            Self::Only(Version::V3) => &[Version::V3],
        }
    }
}

/// The settings of the connection to a broker.
#[derive(Clone)]
pub struct MqttOptions {
    /// The name of the broker in logs and metrics.
    pub name: String,
    /// The address of the broker.
    pub address: BrokerAddress,
    /// The versions of the protocol to try.
    pub versions: Versions,
    /// The client id, which names the persistent session.
    pub client_id: String,
    /// User and password, if the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// Interval of keep-alive pings.
    pub keep_alive: Duration,
    /// How long the broker keeps the session after a connection ends; `None` for a connection
    /// without a session. MQTT 3.1.1 has no such limit: there the broker's own holds.
    pub session_expiry: Option<Duration>,
    /// Maximum number of messages that are received and not in the log yet. With MQTT 5, the broker
    /// sends no more.
    pub max_in_flight: u32,
    /// The largest packet that a broker of MQTT 5 may send, in bytes. It drops larger messages.
    pub max_packet: u32,
}

/// Without the password.
impl fmt::Debug for MqttOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttOptions")
            .field("name", &self.name)
            .field("address", &self.address.to_string())
            .field("versions", &self.versions)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_may_send_every_payload_that_is_read_and_every_packet_that_the_shipped_broker_accepts() {
        assert_eq!(announced_packet(65_536), LEAST_ANNOUNCED);
        let payload = 100 << 20;
        assert!(announced_packet(payload) as usize > payload);
        assert_eq!(announced_packet(usize::MAX), LARGEST_PACKET);
    }
}
