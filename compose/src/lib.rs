//! Starts the servers that Thicket needs, natively and privately: Redis, Mosquitto, PostgreSQL and
//! Prometheus from the distribution's packages. Each listens on a loopback port, free or
//! given, keeps its data in a directory of the caller, and uses the configuration file of its
//! container. `thicket up`, the demo and the tests use this crate; an engine on servers of its own
//! does not.
//!
//! Other users of the machine can neither connect to the servers, because each asks for a random
//! password, nor read their files, and none of them runs as root.
//!
//! Every server runs in its own process group, so that Ctrl-C in the terminal does not reach it
//! before its owner has drained. It is stopped when its handle is dropped. If its owner dies, the
//! kernel tells it to stop. All functions block: call them from an async runtime with
//! `spawn_blocking`.
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
//! - [`servers`]: the three servers that an engine needs, started in parallel and stopped in the
//!   order of the data flow.
//! - `redis`, `mosquitto`, `postgres`, `prometheus`: the command line, the URL and the readiness
//!   probe of each server.
//! - [`server`]: one running server of any kind: start, stop, kill, restart.
//! - `ready`: the wait until a server accepts requests.
//! - [`tls`]: a further port with TLS.
//! - `process`: child processes that end with their handle, and with this process.
//! - `account`: the accounts of servers that root starts, and files that only they may read.
//! - `port`: loopback ports, each reserved for one process of this user.
//! - [`private`]: the directory that the processes of one user share, for locks on ports, templates
//!   of clusters, and the password of all servers.
//! - `settings`: replaces settings in the shipped configuration files.
//! - `program`: finds the servers that the distribution has installed.
//! - `wait`: waiting for a condition.
//! - `error`: the errors, and what to do about each.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]

mod account;
mod error;
mod mosquitto;
mod port;
mod postgres;
pub mod private;
mod process;
mod program;
mod prometheus;
mod ready;
mod redis;
pub mod server;
pub mod servers;
mod settings;
pub mod tls;
mod wait;

pub use error::Error;
pub use mosquitto::{Mosquitto, MosquittoService};
pub use port::PortChoice;
pub use postgres::{MessageLocale, Postgres, PostgresService};
pub use private::{DEVICE, USER, password, password_in};
pub use process::{owned_command, spawn_owned};
pub use program::missing_packages;
pub use prometheus::{Prometheus, PrometheusService};
pub use ready::{Answer, Patience, Watcher};
pub use redis::{Redis, RedisService};
pub use server::{Server, Start};
pub use servers::{Lasting, Ports, Servers};
pub use tls::TlsFiles;
