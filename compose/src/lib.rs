//! Starts the servers that Thicket needs, natively and privately: Redis, Mosquitto, PostgreSQL and Prometheus from the
//! distribution's packages, each on a free loopback port, under a data directory of the caller's, with the same
//! configuration files that the containers use. For `thicket demo` and for tests; nothing here is needed in production.
//!
//! Every server runs in a process group of its own, so that Ctrl-C in the terminal does not reach it before its owner
//! has drained; it is stopped when its handle is dropped, and told to stop by the kernel should its owner die.
//! Everything blocks: callers on an async runtime use `spawn_blocking`.
//!
//! ```no_run
//! # fn main() -> Result<(), thicket_compose::Error> {
//! let directory = std::path::Path::new("/tmp/thicket");
//! let mut redis = thicket_compose::Redis::start(&directory.join("redis"))?;
//! println!("{} (process {})", redis.url(), redis.pid());
//! redis.kill()?;
//! redis.restart_on_same_port()?;
//! # Ok(()) }
//! ```
//!
//! # Layout
//!
//! - [`servers`]: the three servers an engine needs, started side by side and stopped in the order that data flows.
//! - `redis`, `mosquitto`, `postgres`, `prometheus`: what is particular to each: its command line, its address, how to
//!   ask whether it is ready.
//! - [`server`]: one running server, whichever it is: start, stop, kill, restart.
//! - `process`: child processes that outlive neither their handle nor this process.
//! - `port`: loopback ports that no other process of this user takes meanwhile.
//! - `private`: what several processes of one user share: locks on ports, templates of clusters.
//! - `settings`: the shipped configuration files, with some settings replaced.
//! - `program`: where the distribution puts its servers.
//! - `wait`: the one place that sleeps.
//! - `error`: what can go wrong, and what to do about it.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]

mod error;
mod mosquitto;
mod port;
mod postgres;
mod private;
mod process;
mod program;
mod prometheus;
mod redis;
pub mod server;
pub mod servers;
mod settings;
mod wait;

pub use error::Error;
pub use mosquitto::{Mosquitto, MosquittoService};
pub use postgres::{Postgres, PostgresService};
pub use prometheus::{Prometheus, PrometheusService};
pub use redis::{Redis, RedisService};
pub use server::Server;
pub use servers::Servers;
