//! The way in: MQTT messages become records, and are acknowledged to the broker once the log holds them.

mod announce;
mod connection;
mod decode;
mod ingress;
mod stamp;

pub use connection::{Connection, Delivery};
pub use decode::{DecodeOptions, MessageDecoder};
pub use ingress::{MqttClient, MqttIngress, MqttOptions};
