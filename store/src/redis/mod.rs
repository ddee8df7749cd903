//! What Thicket stores in Redis. A file per structure.
//!
//! - `connection`: clients.
//! - `append`, `reader`: the log of a partition, a stream.
//! - `log_backlog`: the part of a log that is not committed yet.
//! - `leases`, `node`: which node is alive.
//! - `suspects`: the entries that an owner was about to apply when its process died.
//! - `checkpoints`: the states of detectors.

mod append;
mod checkpoints;
mod connection;
mod leases;
mod log_backlog;
mod node;
mod reader;
mod suspects;

pub use append::{AppendError, AppendOutcome, LogAppender, Opening};
pub use checkpoints::{CheckpointStore, StoredCheckpoint, checkpoint_seqs};
pub use connection::{RedisError, connect_redis, try_connect_redis};
pub use fred::clients::Client;
pub use leases::Leases;
pub use log_backlog::{InFlight, in_flight};
pub use node::NodeName;
pub use reader::{LogEntry, LogReader};
pub use suspects::{Suspect, Suspects};
pub use thicket_protocol::lease::LeaseState;
