//! Private servers that a worker uses for one case after the other, each with a database, a log and
//! a session of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use thicket_compose::Servers;
use thicket_testkit::publisher::forget_session;
use thicket_testkit::{Addresses, RedisProbe, Tables};

use crate::settings::{PARTITIONS, Settings, client_id};

/// The database from which the others are created.
const ADMIN: &str = "thicket";
/// The database that the database of every case is a copy of.
const TEMPLATE: &str = "crash_template";

/// Timeout for every expected event, long enough for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A server that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The log and the checkpoints.
    Redis,
    /// The rows.
    Postgres,
    /// The broker.
    Mosquitto,
}

/// Servers under a directory of their own.
pub struct Environment {
    servers: Servers,
    directory: PathBuf,
    cases: u32,
}

/// The servers and the directory of one case.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The servers, with the database of the case.
    pub(crate) addresses: Addresses,
    /// Where its engines write.
    pub(crate) directory: PathBuf,
    database: String,
}

impl Environment {
    /// Starts the servers and creates the tables that every case begins with.
    pub async fn start(directory: &Path, binary: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.to_owned();
        let servers = tokio::task::spawn_blocking(move || Servers::start(&path)).await??;
        let environment = Self { servers, directory: directory.to_owned(), cases: 0 };
        let mut admin = Tables::open(&environment.url(ADMIN)).await?;
        admin.execute(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let config = directory.join("migrate.toml");
        std::fs::write(&config, Settings::default().file(&environment.addresses(TEMPLATE), "migrate"))?;
        let migrated = Command::new(binary).arg("--config").arg(&config).arg("migrate").output()?;
        ensure!(
            migrated.status.success(),
            "thicket migrate failed: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        Tables::open(&environment.url(TEMPLATE)).await?.record_moves().await?;
        Ok(environment)
    }

    /// Prepares the workspace of a case: empty tables, an empty Redis, no session at the broker.
    pub(crate) async fn prepare(&mut self, name: &str) -> anyhow::Result<Workspace> {
        // A broker that was killed in a case may have brought back the session of the case before.
        for earlier in self.cases.saturating_sub(1)..=self.cases {
            forget_session(&client_id(&database_of(earlier)), self.servers.mosquitto.port()).await?;
        }
        self.cases += 1;
        let database = database_of(self.cases);
        let mut admin = Tables::open(&self.url(ADMIN)).await?;
        admin.execute(&format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}")).await?;
        let redis = RedisProbe::connect(&self.servers.redis.url(), PARTITIONS).await?;
        redis.delete_everything().await?;
        let directory = self.directory.join(format!("{:03}-{name}", self.cases));
        std::fs::create_dir_all(&directory)?;
        Ok(Workspace { addresses: self.addresses(&database), directory, database })
    }

    /// Deletes a workspace with its files.
    pub(crate) async fn clear(&mut self, workspace: &Workspace) -> anyhow::Result<()> {
        let mut admin = Tables::open(&self.url(ADMIN)).await?;
        admin.execute(&format!("DROP DATABASE {} WITH (FORCE)", workspace.database)).await?;
        Ok(std::fs::remove_dir_all(&workspace.directory)?)
    }

    /// Kills a server with SIGKILL.
    pub(crate) fn kill(&mut self, server: Server) -> anyhow::Result<()> {
        match server {
            Server::Redis => self.servers.redis.kill(),
            Server::Postgres => self.servers.postgres.kill(),
            Server::Mosquitto => self.servers.mosquitto.kill(),
        }
        .context("a server cannot be killed")
    }

    /// Starts a killed server again with its data on disk.
    pub(crate) fn restart(&mut self, server: Server) -> anyhow::Result<()> {
        let restart = || match server {
            Server::Redis => self.servers.redis.restart_on_same_port(),
            Server::Postgres => self.servers.postgres.restart_on_same_port(),
            Server::Mosquitto => self.servers.mosquitto.restart_on_same_port(),
        };
        tokio::task::block_in_place(restart).context("a killed server does not come back")
    }

    /// Restarts every server that does not run.
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
        self.servers.postgres.url_of(database)
    }

    fn addresses(&self, database: &str) -> Addresses {
        Addresses { postgres: self.url(database), ..Addresses::of(&self.servers) }
    }
}

/// Returns the name of the database of a case.
fn database_of(case: u32) -> String {
    format!("crash_{case}")
}
