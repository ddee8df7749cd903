//! A connection to an MQTT broker, in version 3.1.1 or 5 of the protocol.
//!
//! The library has its own types for each version. This module gives both the same form:
//!
//! - `address`: the address of a broker, with TLS or websockets.
//! - `options`: the settings of a connection, and the versions to try.
//! - `client`: sends requests.
//! - `events`: what a connection yields, and why it ends.
//! - `v3`, `v5`: the library's types of each version.
//! - `reasons`: the reason codes of brokers in words.
//!
//! Each connection has a client and an event loop of its own. A request that is sent to the client
//! of an earlier connection reaches no broker.

mod address;
mod client;
mod events;
mod options;
mod reasons;
mod v3;
mod v5;

pub use address::{BrokerAddress, BrokerAddressError};
pub use client::{Client, ConnectionGone, EventLoop, connect, open};
pub use events::{Event, Failure, FailureKind, Message, Refusal};
pub use options::{LEAST_ANNOUNCED, MqttOptions, Qos, Version, Versions, announced_packet};
