//! What is done to disks, networks, clocks and memory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use thicket_testkit::timing::POLL_INTERVAL;
use thicket_testkit::{Addresses, RemoteHost, WrongClock};

use super::state::CaseRun;
use crate::case::{Action, Setting};
use crate::environment::Server;

/// How long PostgreSQL may take to end once it cannot write WAL.
const EXHAUST_LIMIT: Duration = Duration::from_secs(30);

impl CaseRun<'_> {
    /// Prepares what the case needs beside its servers.
    pub(super) fn prepare_setting(&mut self) -> anyhow::Result<()> {
        match self.case.setting {
            Setting::Remote(server) => {
                self.remote = Some(RemoteHost::before(self.environment.port_of(server))?);
            }
            Setting::WrongClock => self.clock = Some(WrongClock::create(&self.workspace.directory)?),
            Setting::Plain | Setting::SmallDisks { .. } => {}
        }
        Ok(())
    }

    /// Returns the addresses as the engines know them.
    pub(super) fn engine_addresses(&self) -> Addresses {
        let mut addresses = self.workspace.addresses.clone();
        if let (Setting::Remote(server), Some(remote)) = (self.case.setting, &self.remote) {
            let here = format!("127.0.0.1:{}", self.environment.port_of(server));
            let url = match server {
                Server::Redis => &mut addresses.redis,
                Server::Postgres => &mut addresses.postgres,
                Server::Mosquitto => &mut addresses.mqtt,
            };
            *url = url.replace(&here, &remote.address().to_string());
        }
        addresses
    }

    pub(super) async fn disturb(&mut self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::FillDisk(server) => self.environment.fill_disk(*server)?,
            Action::FreeDisk(server) => {
                self.note_cure().await?;
                tokio::task::block_in_place(|| self.environment.free_disk(*server))?;
            }
            Action::ExhaustWal => self.exhaust_wal().await?,
            Action::Swallow => self.host()?.swallow()?,
            Action::Heal => {
                self.note_cure().await?;
                self.host()?.heal()?;
            }
            Action::ReplaceHost => {
                self.note_cure().await?;
                self.remote.as_mut().context("no server is remote")?.replace()?;
            }
            Action::LimitRedis(limit) => {
                self.note_cure().await?;
                self.redis().await?.set_config("maxmemory", limit).await?;
            }
            Action::LockReadings => {
                let mut tables = self.tables().await?;
                tables.execute("BEGIN; LOCK TABLE readings").await?;
                self.locker = Some(tables);
            }
            Action::UnlockReadings => {
                self.note_cure().await?;
                self.locker = None;
            }
            Action::Clock(seconds) => self.clock.as_ref().context("no clock can be set")?.set(*seconds)?,
            Action::LimitMemory(node) => self.engine(*node)?.limit_memory()?,
            other => bail!("no action of this kind: {other:?}"),
        }
        Ok(())
    }

    fn host(&self) -> anyhow::Result<&RemoteHost> {
        self.remote.as_ref().context("no server is remote")
    }

    /// Switches to new files of WAL until PostgreSQL has no room for another one, and ends.
    async fn exhaust_wal(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.environment.has_postgres() {
            ensure!(started.elapsed() < EXHAUST_LIMIT, "postgresql still runs, although its disk is full");
            if let Ok(mut tables) = self.tables().await {
                let switch = "SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000)); SELECT pg_switch_wal()";
                // It fails once there is no room.
                drop(tables.execute(switch).await);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}
