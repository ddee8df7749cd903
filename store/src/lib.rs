//! How Thicket stores: the only crate that executes SQL or speaks to Redis.
//!
//! `thicket-schema` defines *what* is stored; this crate defines *how*. The decisions behind
//! exactly-once are pure functions of `thicket-protocol`.
//!
//! # Layout
//!
//! - [`redis`]: the log of each partition, leases, checkpoints, crash suspects. A file per
//!   structure.
//! - [`postgres`]: the commit point and every other statement. A file per table.
//! - [`deployment`]: whether both belong to the same deployment.
//! - [`digest`]: a hash over all rows, to compare databases.
//! - [`retry`]: the one retry policy.
//! - [`complaints`]: a log line a minute for failures that repeat.
//! - [`faults`]: fail points for the crash tests.

pub mod complaints;
pub mod deployment;
pub mod digest;
pub mod faults;
pub mod postgres;
pub mod redis;
pub mod retry;
