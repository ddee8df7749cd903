//! Private servers that a worker uses for one case after the other, each with a database, a log and
//! a session of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use thicket_compose::Servers;
use thicket_testkit::publisher::forget_session;
use thicket_testkit::receivers::{Answer, HttpReceiver};
use thicket_testkit::{Addresses, RedisProbe, SmallDisk, Tables};

use crate::settings::{PARTITIONS, Settings, client_id};

/// The database from which the others are created.
const ADMIN: &str = "thicket";
/// The database that the database of every case is a copy of.
const TEMPLATE: &str = "crash_template";

/// How long nothing may happen until an expected event: on a machine with far more work than cores,
/// a process may wait half a minute for its turn.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(2);

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
    /// Where the engines send notifications.
    receiver: HttpReceiver,
    directory: PathBuf,
    cases: u32,
    /// The disks of PostgreSQL and Redis, if they have disks of their own. Unmounted after the
    /// servers have stopped.
    disks: Option<Disks>,
}

/// Disks that can be filled.
struct Disks {
    postgres: SmallDisk,
    redis: SmallDisk,
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

impl Workspace {
    /// Returns the name of its database, which no other case of the environment has.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }
}

impl Environment {
    /// Starts the servers and creates the tables that every case begins with.
    pub async fn start(directory: &Path, binary: &Path) -> anyhow::Result<Self> {
        Self::start_on(None, directory, binary).await
    }

    /// Starts the servers like [`start`](Self::start), PostgreSQL and Redis on disks that can be
    /// filled. Without `with_wal`, the WAL of PostgreSQL is elsewhere.
    pub(crate) async fn start_on_small_disks(
        directory: &Path,
        binary: &Path,
        with_wal: bool,
    ) -> anyhow::Result<Self> {
        let mount = |name: &str| SmallDisk::mount(&directory.join(name));
        let disks = Disks { postgres: mount("postgres")?, redis: mount("redis")? };
        let mut environment = Self::start_on(Some(disks), directory, binary).await?;
        if !with_wal {
            tokio::task::block_in_place(|| environment.move_wal())?;
        }
        Ok(environment)
    }

    async fn start_on(disks: Option<Disks>, directory: &Path, binary: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.to_owned();
        let servers = tokio::task::spawn_blocking(move || Servers::start(&path)).await??;
        let receiver = HttpReceiver::try_start(0, None)?;
        let environment = Self { servers, receiver, directory: directory.to_owned(), cases: 0, disks };
        let mut admin = Tables::open(&environment.url(ADMIN)).await?;
        admin.execute(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let config = directory.join("migrate.toml");
        std::fs::write(
            &config,
            Settings::default().file(&environment.addresses(TEMPLATE), "migrate", vec![]),
        )?;
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
        self.receiver.forget();
        self.receiver.answer(Answer::Status(200));
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

    /// Makes the disk of a server full.
    pub(crate) fn fill_disk(&self, server: Server) -> anyhow::Result<()> {
        self.disk(server)?.fill()
    }

    /// Ends [`Self::fill_disk`], and starts the server again if it has ended meanwhile.
    pub(crate) fn free_disk(&mut self, server: Server) -> anyhow::Result<()> {
        self.disk(server)?.free()?;
        self.revive()
    }

    fn disk(&self, server: Server) -> anyhow::Result<&SmallDisk> {
        let disks = self.disks.as_ref().context("the servers have no disks of their own")?;
        match server {
            Server::Redis => Ok(&disks.redis),
            Server::Postgres => Ok(&disks.postgres),
            Server::Mosquitto => anyhow::bail!("the broker has no disk of its own"),
        }
    }

    /// Moves the WAL of PostgreSQL to the disk of the directory.
    fn move_wal(&mut self) -> anyhow::Result<()> {
        self.servers.postgres.stop()?;
        let (from, to) = (self.directory.join("postgres/data/pg_wal"), self.directory.join("postgres-wal"));
        let moved = Command::new("mv").args([&from, &to]).status()?;
        ensure!(moved.success(), "{} cannot be moved", from.display());
        std::os::unix::fs::symlink(&to, &from)?;
        Ok(self.servers.postgres.restart_on_same_port()?)
    }

    /// Whether PostgreSQL runs.
    pub(crate) fn has_postgres(&mut self) -> bool {
        self.servers.postgres.is_running()
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

    /// Returns where the engines send notifications.
    pub(crate) fn receiver(&self) -> &HttpReceiver {
        &self.receiver
    }

    /// Returns where its servers and cases have their files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the loopback port of a server.
    pub(crate) fn port_of(&self, server: Server) -> u16 {
        match server {
            Server::Redis => self.servers.redis.port(),
            Server::Postgres => self.servers.postgres.port(),
            Server::Mosquitto => self.servers.mosquitto.port(),
        }
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
