//! How Thicket stores: the only crate that executes SQL or speaks to Redis.
//!
//! `thicket-schema` says *what* is stored; this crate knows *how*. It decides nothing by itself: what
//! exactly-once rests on is decided by the pure functions of `thicket-protocol`.
//!
//! # Layout
//!
//! - [`redis`]: the log of each partition, leases, checkpoints, crash suspects. A file per structure.
//! - [`postgres`]: the commit point and every other statement. A file per table.
//! - [`retry`]: the one retry policy.
//! - [`faults`]: fail points for the crash tests.

pub mod faults;
pub mod postgres;
pub mod redis;
pub mod retry;
