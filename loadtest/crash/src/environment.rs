//! Private servers that many cases use one after the other, each with a database, a queue and a session of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use thicket_compose::Servers;

use crate::publisher::forget_session;
use crate::queue::Queue;
use crate::settings::{Addresses, Settings};
use crate::tables::{Tables, WATCH};

/// The database from which others are made.
const ADMIN: &str = "thicket";
/// The database that every case's is a copy of.
const TEMPLATE: &str = "crash_template";
/// The engine's default.
const CLIENT_ID: &str = "thicket";

/// A server that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The queue and the checkpoints.
    Redis,
    /// The rows.
    Postgres,
    /// The broker.
    Mosquitto,
}

/// Servers under a directory of their own.
pub struct Stage {
    servers: Servers,
    directory: PathBuf,
    cases: u32,
}

impl Stage {
    /// Starts the servers and makes the tables that every case begins with.
    pub async fn start(directory: &Path, binary: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.to_owned();
        let servers = tokio::task::spawn_blocking(move || Servers::start(&path)).await??;
        let stage = Self { servers, directory: directory.to_owned(), cases: 0 };
        let mut admin = Tables::open(&stage.url(ADMIN)).await?;
        admin.execute(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let config = directory.join("migrate.toml");
        std::fs::write(&config, Settings::default().file(&stage.addresses(TEMPLATE), "migrate"))?;
        let migrated = Command::new(binary).arg("--config").arg(&config).arg("migrate").output()?;
        ensure!(
            migrated.status.success(),
            "thicket migrate failed: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        let mut template = Tables::open(&stage.url(TEMPLATE)).await?;
        for statement in WATCH {
            template.execute(statement).await?;
        }
        Ok(stage)
    }

    /// Prepares what a case works on: empty tables, an empty queue, no session.
    pub(crate) async fn prepare(&mut self, name: &str) -> anyhow::Result<Ground> {
        self.cases += 1;
        let database = format!("crash_{}", self.cases);
        let mut admin = Tables::open(&self.url(ADMIN)).await?;
        admin.execute(&format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}")).await?;
        Queue::connect(&self.servers.redis.url()).await?.empty().await?;
        forget_session(CLIENT_ID, self.servers.mosquitto.port()).await?;
        let directory = self.directory.join(format!("{:03}-{name}", self.cases));
        std::fs::create_dir_all(&directory)?;
        Ok(Ground { addresses: self.addresses(&database), database, directory })
    }

    /// Removes what a case left, its files too.
    pub(crate) async fn clear(&mut self, ground: &Ground) -> anyhow::Result<()> {
        let mut admin = Tables::open(&self.url(ADMIN)).await?;
        admin.execute(&format!("DROP DATABASE {} WITH (FORCE)", ground.database)).await?;
        Ok(std::fs::remove_dir_all(&ground.directory)?)
    }

    /// Kills a server; what it was doing is left as it is.
    pub(crate) fn kill(&mut self, server: Server) -> anyhow::Result<()> {
        match server {
            Server::Redis => self.servers.redis.kill(),
            Server::Postgres => self.servers.postgres.kill(),
            Server::Mosquitto => self.servers.mosquitto.kill(),
        }
        .context("a server cannot be killed")
    }

    /// Starts it again with what it has on disk.
    pub(crate) fn restart(&mut self, server: Server) -> anyhow::Result<()> {
        let restart = || match server {
            Server::Redis => self.servers.redis.restart_on_same_port(),
            Server::Postgres => self.servers.postgres.restart_on_same_port(),
            Server::Mosquitto => self.servers.mosquitto.restart_on_same_port(),
        };
        tokio::task::block_in_place(restart).context("a killed server does not come back")
    }

    /// Brings back whatever does not run.
    pub(crate) fn revive(&mut self) -> anyhow::Result<()> {
        let Servers { mosquitto, redis, postgres } = &mut self.servers;
        let dead = [
            (!mosquitto.is_running(), Server::Mosquitto),
            (!redis.is_running(), Server::Redis),
            (!postgres.is_running(), Server::Postgres),
        ];
        dead.into_iter().filter(|(dead, _)| *dead).try_for_each(|(_, server)| self.restart(server))
    }

    pub(crate) fn broker_port(&self) -> u16 {
        self.servers.mosquitto.port()
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://thicket@127.0.0.1:{}/{database}", self.servers.postgres.port())
    }

    fn addresses(&self, database: &str) -> Addresses {
        Addresses {
            mqtt: self.servers.mosquitto.url(),
            redis: self.servers.redis.url(),
            postgres: self.url(database),
        }
    }
}

/// What one case works on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) addresses: Addresses,
    database: String,
    pub(crate) directory: PathBuf,
}

/// How long anything that must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
