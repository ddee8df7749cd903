//! The three servers that an engine needs, started in parallel and stopped in the order of the
//! data flow.

use std::{path::Path, thread};

use crate::{
    error::Error,
    mosquitto::{Mosquitto, MosquittoService},
    port::PortChoice,
    postgres::{Postgres, PostgresService},
    redis::{Redis, RedisService},
    server::Server,
    tls::TlsFiles,
};

/// The ports of the three servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The port of Mosquitto.
    pub mosquitto: PortChoice,
    /// The port of Redis.
    pub redis: PortChoice,
    /// The port of PostgreSQL.
    pub postgres: PortChoice,
}

/// Mosquitto, Redis and PostgreSQL in one directory. Dropping the value stops them in this order:
/// first the messages, then the log, then the rows.
#[derive(Debug)]
pub struct Servers {
    /// The MQTT broker, in `mosquitto/`.
    pub mosquitto: Mosquitto,
    /// The log and the checkpoints, in `redis/`.
    pub redis: Redis,
    /// The rows, in `postgres/`.
    pub postgres: Postgres,
}

impl Servers {
    /// Starts all three in parallel, each in its own folder below `directory`. If one fails, stops
    /// the others.
    pub fn start(directory: &Path) -> Result<Servers, Error> {
        Self::start_each(directory, Mosquitto::start, Redis::start, Postgres::start)
    }

    /// Starts all three like [`start`](Self::start), on the given ports.
    pub fn start_on(directory: &Path, ports: Ports) -> Result<Servers, Error> {
        Self::start_each(
            directory,
            |directory| Server::start_service_on(MosquittoService::default(), directory, ports.mosquitto),
            |directory| Server::start_service_on(RedisService::default(), directory, ports.redis),
            |directory| Server::start_service_on(PostgresService::default(), directory, ports.postgres),
        )
    }

    /// Starts all three like [`start`](Self::start), with TLS in addition.
    pub fn start_with_tls(directory: &Path, files: &TlsFiles) -> Result<Servers, Error> {
        Self::start_each(
            directory,
            |directory| Mosquitto::start_with_tls(directory, files.clone()),
            |directory| Redis::start_with_tls(directory, files.clone()),
            |directory| Postgres::start_with_tls(directory, files.clone()),
        )
    }

    fn start_each(
        directory: &Path,
        mosquitto: impl Fn(&Path) -> Result<Mosquitto, Error>,
        redis: impl Fn(&Path) -> Result<Redis, Error> + Sync,
        postgres: impl Fn(&Path) -> Result<Postgres, Error> + Sync,
    ) -> Result<Servers, Error> {
        thread::scope(|scope| {
            let redis = scope.spawn(|| redis(&directory.join("redis")));
            let postgres = scope.spawn(|| postgres(&directory.join("postgres")));
            let mosquitto = mosquitto(&directory.join("mosquitto"));
            let redis = redis.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let postgres = postgres.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Servers { mosquitto: mosquitto?, redis: redis?, postgres: postgres? })
        })
    }

    /// Stops all three gracefully, in the order of the data flow. Stops all of them before it
    /// returns the first error.
    pub fn stop(&mut self) -> Result<(), Error> {
        let outcomes = [self.mosquitto.stop(), self.redis.stop(), self.postgres.stop()];
        outcomes.into_iter().collect()
    }
}
