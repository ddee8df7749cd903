//! What Thicket stores in Redis. A file per structure.
//!
//! - `server`: the address of a Redis. `connection`: clients.
//! - `append`, `reader`: the log of a partition, a stream.
//! - `log_backlog`: the part of a log that is not committed yet.
//! - `leases`, `heartbeats`, `node`: which node is alive.
//! - `suspects`: the entries that an owner was about to apply when its process died.
//! - `checkpoints`: the states of detectors. `checkpoint_memory`: the account of their memory.
//!   `allocation`: how much one takes.
//! - `births`: what Sparkplug births have taught.
//! - `session_mark`: which brokers had a session of the engine.
//! - `transfer`: copies all keys to another Redis.
//! - `deployment_mark`: the name of the deployment.
//! - `settings`: the version and the settings of the server.

mod allocation;
mod append;
mod births;
mod checkpoint_memory;
mod checkpoints;
mod connection;
mod deployment_mark;
mod heartbeats;
mod leases;
mod log_backlog;
mod node;
mod reader;
mod server;
mod session_mark;
mod settings;
mod suspects;
mod transfer;

pub use allocation::memory_of;
pub use append::{AppendError, AppendOutcome, LogAppender, Opening};
pub use births::BirthStore;
pub use checkpoint_memory::ListedCheckpoint;
pub use checkpoints::{CheckpointStore, Saved, StoredCheckpoint, checkpoint_seqs};
pub use connection::{
    RedisError, connect_redis, is_out_of_memory, is_passing, is_read_only_replica, try_connect_redis,
    unconnected_redis,
};
pub use deployment_mark::{mark_deployment, marked_deployment};
pub use fred::clients::Client;
pub use heartbeats::{Heartbeats, live_nodes};
pub use leases::{Leases, lease_holders};
pub use log_backlog::{InFlight, in_flight, waiting_sensors};
pub use node::NodeName;
pub use reader::{LogEntry, LogReader, Trimmed};
pub use server::{RedisServer, RedisServerError};
pub use session_mark::SessionMark;
pub use settings::{RedisMemory, disconnect, redis_memory, server_version, setting};
pub use suspects::{Suspect, Suspects};
pub use thicket_protocol::lease::LeaseState;
pub use transfer::{KeyDump, begin_import, dump_keys, end_import, is_importing, restore_keys};
