//! The MQTT subscriptions of all brokers. Decodes messages into records, and acknowledges each message once the log
//! holds its records.
//!
//! - `ingress`: the actor.
//! - `address`: the address of a broker. `session`: connects, subscribes, receives messages.
//! - `subscription_lease`: which node holds the subscription.
//! - `decode`, `stamp`: turns a message into records.
//! - `explanation`: the steps of decoding, for people.
//! - `filter`: topic filters.
//! - `ignore`: messages that are no readings.
//! - `controls`: appends configurations and labels to the log.

mod address;
mod controls;
mod decode;
mod explanation;
mod filter;
mod ignore;
mod ingress;
mod session;
mod stamp;
mod subscription_lease;

pub use address::{BrokerAddress, BrokerAddressError};
pub use decode::{DecodeOptions, MessageDecoder, SubscriptionOptions};
pub use explanation::DecodeExplanation;
pub use filter::{filter_receives, plain_filter};
pub use ignore::{IgnoreReason, IgnoreRule};
pub use ingress::{Broker, IngressPeers, LogWriter, MqttIngress};
pub use session::{MqttClient, MqttOptions};
pub use subscription_lease::SubscriptionKeys;
