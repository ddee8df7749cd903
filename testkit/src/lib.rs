//! The test kit: what the tests of several crates need to run an engine against real servers and to
//! compare what it stores.
//!
//! The engine under test is a process of its own. Its tests (`engine/tests/it`) and the crash
//! harness (`loadtest/crash`) start it, disturb it, and compare two snapshots of the tables.
//!
//! # Layout
//!
//! In the order that a test uses the parts:
//!
//! - [`env`](mod@env): [`TestEnv`], private servers with a directory, for one test.
//! - [`certificates`]: a CA with certificates of servers and clients.
//! - [`config`]: [`Config`], a configuration file as a value.
//! - [`engine`]: [`Engine`], an engine in a test: it panics with the engine's log.
//! - [`engine_process`]: [`EngineProcess`], an engine in a harness: it returns errors.
//! - [`publisher`]: publishes at QoS 1 and counts what the broker has acknowledged.
//! - [`samples`]: readings of several sensors, the same for the same arguments.
//! - [`tables`]: queries to PostgreSQL; [`snapshot`]: the one definition of "the same rows";
//!   [`balance`]: what the ledger and the tables must agree on; [`moves`]: which node moved a
//!   position.
//! - [`redis`]: reads and damages what the engine stores in Redis.
//! - [`flaky_proxy`]: a TCP proxy that breaks its connections. [`cut_proxy`]: one whose network can be
//!   cut. [`silent_proxy`]: one that keeps its connections and forwards no byte.
//! - [`small_disk`]: a disk that can be filled. [`memory_group`]: a limit on memory. [`remote_host`]: a
//!   server whose host can vanish. [`wrong_clock`]: a wall clock that jumps. The first three need the
//!   rights of root.
//! - [`receivers`]: receivers of notifications.
//! - [`log_lines`]: the texts of the engine's log that a test may wait for.
//! - `http`, `metrics`: a request to the engine, and its metrics. `system`: programs of the system,
//!   and free ports.
//! - [`timing`]: how often and how long a test waits: [`until`](timing::until).
//!
//! Functions for tests panic, because a test that cannot go on has failed. Functions for the
//! harness return [`anyhow::Error`], because the harness goes on with its next case.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]

pub mod balance;
pub mod certificates;
pub mod config;
pub mod cut_proxy;
pub mod engine;
pub mod engine_process;
pub mod env;
pub mod flaky_proxy;
mod http;
pub mod log_lines;
pub mod memory_group;
mod metrics;
pub mod moves;
pub mod publisher;
pub mod receivers;
pub mod redis;
pub mod remote_host;
pub mod samples;
pub mod silent_proxy;
mod skipped;
pub mod small_disk;
pub mod snapshot;
mod system;
pub mod tables;
pub mod timing;
pub mod wrong_clock;

pub use config::{Addresses, Config, broker_login};
pub use cut_proxy::CutProxy;
pub use engine::Engine;
pub use engine_process::{EngineProcess, Launch};
pub use env::TestEnv;
pub use flaky_proxy::FlakyProxy;
pub use http::{Response, get_with_tls};
pub use log_lines::LogLine;
pub use memory_group::MemoryGroup;
pub use metrics::Metrics;
pub use publisher::Publisher;
pub use redis::RedisProbe;
pub use remote_host::RemoteHost;
pub use samples::Samples;
pub use silent_proxy::SilentProxy;
pub use skipped::skipped;
pub use small_disk::SmallDisk;
pub use snapshot::Snapshot;
pub use system::free_port;
pub use tables::Tables;
pub use thicket_compose::TlsFiles;
pub use thicket_compose::server::Signal;
pub use wrong_clock::WrongClock;
