//! The three servers that an engine needs, started in parallel and stopped in the order of the
//! data flow.

use std::{net::IpAddr, path::Path, thread};

use crate::{
    error::Error,
    mosquitto::{Mosquitto, MosquittoService},
    port::PortChoice,
    postgres::{Postgres, PostgresService},
    ready::Patience,
    redis::{Redis, RedisService},
    server::{Server, Start},
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

/// How to start the servers of a deployment that stays.
#[derive(Clone, Debug)]
pub struct Lasting {
    /// The ports.
    pub ports: Ports,
    /// The password of [`USER`](crate::USER) at every server.
    pub password: String,
    /// The password of [`DEVICE`](crate::DEVICE) at Mosquitto.
    pub device_password: String,
    /// An address beside 127.0.0.1 at which devices reach Mosquitto.
    pub listen: Option<IpAddr>,
    /// How long to wait for each server.
    pub patience: Patience,
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

    /// Starts the servers of a deployment that stays, in parallel like [`start`](Self::start).
    pub fn start_lasting(directory: &Path, lasting: &Lasting) -> Result<Servers, Error> {
        let Lasting { ports, password, device_password, listen, patience } = lasting;
        let start = |port| Start { port, patience: patience.clone() };
        Self::start_each(
            directory,
            |directory| {
                let service = MosquittoService::new(password.clone());
                let service = service.for_devices(device_password.clone(), *listen);
                Server::start_service_on(service, directory, start(ports.mosquitto))
            },
            |directory| {
                Server::start_service_on(RedisService::new(password.clone()), directory, start(ports.redis))
            },
            |directory| {
                Server::start_service_on(
                    PostgresService::new(password.clone()),
                    directory,
                    start(ports.postgres),
                )
            },
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
