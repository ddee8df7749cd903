//! The MQTT subscriptions of all brokers. Decodes messages into records, and acknowledges each
//! message once the log holds its records.
//!
//! - `ingress`: the actor.
//! - `session`: connects and subscribes.
//! - `receive`: what becomes of each message.
//! - `conflict`: notices another client with the same client id.
//! - `reorder`: holds readings back to put them in order.
//! - `kept_session`: notices that a broker has lost the session.
//! - `subscription_lease`: which node holds the subscription.
//! - `decode`, `stamp`: turns a message into records.
//! - `registry`, `admission`: limits on new sensors, fields and days.
//! - `renames`: the names of sensors that were renamed.
//! - `letter_rate`: limits on the rows of dead letters.
//! - `token_bucket`: rates, in the long run and at once.
//! - `births`: stores what Sparkplug births have taught.
//! - `explanation`: the steps of decoding, for people.
//! - `filter`, `fit`: topic filters, and whether templates fit them.
//! - `ignore`: messages that are no readings.
//! - `controls`: appends configurations and labels to the log.

mod admission;
mod births;
mod conflict;
mod controls;
mod decode;
mod explanation;
mod filter;
mod fit;
mod ignore;
mod ingress;
mod kept_session;
mod letter_rate;
mod receive;
mod registry;
mod renames;
mod reorder;
mod session;
mod stamp;
mod subscription_lease;
mod token_bucket;

pub use admission::AdmissionLimits;
pub use decode::{DecodeMessage, DecodeOptions, Decoded, MessageDecoder, SubscriptionOptions};
pub use explanation::DecodeExplanation;
pub use filter::{filter_receives, plain_filter};
pub use fit::{Misfit, Severity, misfits};
pub use ignore::{IgnoreReason, IgnoreRule};
pub use ingress::{Broker, IngressPeers, LogWriter, MqttIngress};
pub use registry::IntakeLimits;
pub use subscription_lease::SubscriptionKeys;
