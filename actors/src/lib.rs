//! The actors of Thicket: from an MQTT message to a scored row.
//!
//! # Layout
//!
//! In the order that data flows:
//!
//! - [`source`]: the MQTT subscription. Decodes messages into records and acknowledges them once
//!   the log holds them.
//! - [`queue`]: the writer of the log, one Redis stream per partition.
//! - [`ownership`]: which partitions this node owns. Leases for liveness, epochs for safety.
//! - [`shard`]: reads partitions, owns the detectors of their sensors, turns scores into batches of
//!   rows.
//! - [`detector`]: one actor per sensor around the pure core of `thicket-detector`, and the replay
//!   that restores it.
//! - [`writer`]: the commit point. Rows, events, dead letters, ledger and position in one
//!   PostgreSQL transaction.
//! - [`checkpoint`]: saves checkpoints in Redis, and loads the history of a sensor.
//!
//! Outside the flow: [`messages`] lists the messages between actors, [`mqtt`] connects to brokers,
//! [`acknowledge`] acknowledges MQTT messages, [`credit`] bounds what is in flight, [`supervision`]
//! restarts actors that panic, [`time_order`] decides which reading of a sensor is next in time,
//! and [`metrics`] counts. [`lamps`] has what `/readyz` says of this moment.
//!
//! `thicket-protocol` has the pure decisions behind exactly-once. `thicket-store` speaks to Redis
//! and PostgreSQL. `thicket-notify` has the actor that sends the notifications, which the writer
//! stores.

pub mod acknowledge;
pub mod checkpoint;
pub mod credit;
pub mod detector;
pub mod lamps;
pub mod messages;
pub mod metrics;
pub mod mqtt;
pub mod ownership;
pub mod queue;
pub mod shard;
pub mod source;
pub mod supervision;
#[cfg(test)]
mod testing;
pub mod time_order;
pub mod writer;
