//! The way in: the MQTT subscription. Decodes messages into records and acknowledges them once the log holds them.
//!
//! - `ingress`: the actor.
//! - `session`: connects, subscribes, takes messages.
//! - `subscription_lease`: which node holds the subscription.
//! - `decode`, `stamp`: a message in, records out.
//! - `controls`: configurations and labels, on their way into the log.

mod controls;
mod decode;
mod ingress;
mod session;
mod stamp;
mod subscription_lease;

pub use decode::{DecodeOptions, MessageDecoder};
pub use ingress::{IngressPeers, LogWriter, MqttIngress};
pub use session::{MqttClient, MqttOptions};
pub use subscription_lease::SubscriptionKeys;
