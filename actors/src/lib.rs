//! The actors of Thicket: from an MQTT message to a scored row.
//!
//! # Layout
//!
//! In the order that data flows:
//!
//! - [`source`]: the MQTT subscription. Decodes messages into records and acknowledges them once the log holds them.
//! - [`queue`]: the log, one Redis Stream per partition: its writer, its reader, the leases beside it.
//! - [`ownership`]: which partitions are this node's: leases for liveness, epochs for safety.
//! - [`shard`]: reads partitions, owns their detectors, turns verdicts into batches of rows.
//! - [`detector`]: one actor per sensor around the pure core of `thicket-detector`, and the replay that restores it.
//! - [`writer`]: the commit point. Rows, events, dead letters, ledger and position in one PostgreSQL transaction.
//! - [`checkpoint`]: detectors' states in Redis, and the rows that bring them up to date.
//!
//! Beside the flow: [`messages`] lists the messages between actors, [`acknowledge`] acknowledges MQTT messages,
//! [`credit`] bounds what is in flight, [`supervision`] restarts what panics, and [`metrics`] counts.
//! `thicket-protocol` decides what exactly-once rests on, `thicket-store` speaks to Redis and PostgreSQL.

pub mod acknowledge;
pub mod checkpoint;
pub mod credit;
pub mod detector;
pub mod messages;
pub mod metrics;
pub mod ownership;
pub mod queue;
pub mod shard;
pub mod source;
pub mod supervision;
#[cfg(test)]
mod testing;
pub mod writer;
