//! The three servers an engine needs, started side by side and stopped in the order that data flows.

use std::{path::Path, thread};

use crate::{error::Error, mosquitto::Mosquitto, postgres::Postgres, redis::Redis};

/// Mosquitto, Redis and PostgreSQL under one directory. Dropping it stops them in this order: first no more messages,
/// then no more queue, then no more rows.
#[derive(Debug)]
pub struct Servers {
    /// The MQTT broker, in `mosquitto/`.
    pub mosquitto: Mosquitto,
    /// The queue and the checkpoints, in `redis/`.
    pub redis: Redis,
    /// The rows, in `postgres/`.
    pub postgres: Postgres,
}

impl Servers {
    /// Starts all three at the same time, each in a folder of its own below `directory`. When one fails the others are
    /// stopped again.
    pub fn start(directory: &Path) -> Result<Servers, Error> {
        thread::scope(|scope| {
            let redis = scope.spawn(|| Redis::start(&directory.join("redis")));
            let postgres = scope.spawn(|| Postgres::start(&directory.join("postgres")));
            let mosquitto = Mosquitto::start(&directory.join("mosquitto"));
            let redis = redis.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let postgres = postgres.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Servers { mosquitto: mosquitto?, redis: redis?, postgres: postgres? })
        })
    }

    /// Stops all three gracefully, in the order that data flows; the first error is reported after all were stopped.
    pub fn stop(&mut self) -> Result<(), Error> {
        let outcomes = [self.mosquitto.stop(), self.redis.stop(), self.postgres.stop()];
        outcomes.into_iter().collect()
    }
}
