//! What a connection yields, and why it ends.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::options::Qos;

/// An event of a connection.
#[derive(Debug)]
pub enum Event {
    /// The broker accepted the connection.
    Connected {
        /// Whether the broker has kept the session of the client id.
        session_present: bool,
        /// How long the broker keeps the session; `None` if it does not say. With MQTT 5, this means as
        /// long as the client asked for.
        session_expiry: Option<Duration>,
    },
    /// A message of a subscription.
    Message(Message),
    /// The broker answered a request to subscribe: one result for each filter, in their order. A broker
    /// may grant a lower quality of service than the client asked for.
    Subscribed(Vec<Result<Qos, Refusal>>),
    /// The broker has answered a message that this client published at QoS 1.
    Published(Result<(), Refusal>),
    /// The packet that ends the connection is sent.
    Disconnected,
    /// An event without consequences, such as a ping.
    Other,
}

/// A message of a subscription.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// The packet id, with which the message is acknowledged; `None` at QoS 0.
    pub packet: Option<u16>,
    /// Whether the broker may have delivered the message before.
    pub redelivered: bool,
    /// Whether the broker kept the message from before the subscription.
    pub retained: bool,
    /// The MIME type of the payload, which MQTT 5 can have.
    pub content_type: Option<String>,
}

/// The reason of a broker that refuses a request, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(super) &'static str);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    /// What the caller may do about it.
    pub kind: FailureKind,
    /// The reason in words.
    pub(super) words: String,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The broker does not answer as this version of the protocol requires. It may know another.
    Version,
    /// The broker refuses the client, and says why.
    Refused,
    /// Another client connected with the same client id.
    TakenOver,
    /// The broker closed the connection without a reason.
    Closed,
    /// There is no connection to the broker's address.
    Unreachable,
    /// Any other failure, such as an answer that is none of MQTT.
    Other,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// Whether a broker that fails so before it accepts a connection may know another version of
    /// the protocol. A broker that does not know MQTT 5 says so, closes the connection, or answers
    /// in a form that is none of MQTT 5.
    pub const fn may_be_of_version(&self) -> bool {
        matches!(self.kind, FailureKind::Version | FailureKind::Closed | FailureKind::Other)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
