//! The way in: MQTT messages become records, and are acknowledged to the broker once the log holds them.

mod controls;
mod decode;
mod ingress;
mod stamp;

pub use decode::{DecodeOptions, MessageDecoder};
pub use ingress::{MqttClient, MqttIngress, MqttOptions};
