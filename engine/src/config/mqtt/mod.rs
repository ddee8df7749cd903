//! The brokers: `[mqtt]` for one, `[[mqtt]]` for several.
//!
//! - `config`: a broker with its subscriptions.
//! - `broker`: the connection.
//! - `messages`: how messages become readings.
//! - `subscriptions`: merges the keys of a subscription with those of its preset and its broker.
//! - `layers`: merges the keys of a broker from the sources.

mod broker;
mod config;
mod layers;
mod messages;
mod subscriptions;

pub(crate) use broker::BrokerConfig;
pub(crate) use config::MqttConfig;
pub(super) use layers::{Layers, brokers};
pub(crate) use messages::MessageConfig;
pub(crate) use subscriptions::merge_subscription;
