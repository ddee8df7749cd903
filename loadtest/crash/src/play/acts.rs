//! What is done to engines and servers.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use rustix::process::Signal;

use super::Play;
use crate::case::{Act, Fault, Node};
use crate::engine::{Engine, LOOK, Launch};
use crate::settings::{PARTITIONS, Settings};
use crate::stage::Server;
use crate::tables::Tables;

/// How long commits wait, and how long they do not.
const SLOW: Duration = Duration::from_millis(150);
const QUICK: Duration = Duration::from_millis(60);
/// How long a fail point may take to be reached.
const FIRING: Duration = Duration::from_secs(20);
/// How long a takeover may take, far longer than a lease.
const TAKEOVER: Duration = Duration::from_secs(15);
/// How long an engine may take to notice that it was refused.
const REFUSAL: Duration = Duration::from_secs(6);

impl Play<'_> {
    pub(super) async fn act(&mut self, act: &Act) -> anyhow::Result<()> {
        match act {
            Act::Start(node, faults) => self.start(*node, faults).await,
            Act::Set(settings) => {
                self.settings = settings.clone();
                Ok(())
            }
            Act::Flow(part) => {
                self.flow(*part);
                Ok(())
            }
            Act::Settle => self.publisher.settle(self.patience).await,
            Act::Stored(part) => self.stored(*part).await,
            Act::Rests => self.until_still().await,
            Act::Dies(node) => self.dies(*node).await,
            Act::DiesOrIsKilled(node, patience) => self.dies_or_is_killed(*node, *patience).await,
            Act::Meets(node, sign) => self.meets(*node, sign).await,
            Act::Kill(node) => {
                self.engine(*node)?.kill()?;
                self.check_checkpoints().await
            }
            Act::Stop(node) => self.stop(*node).await,
            Act::Freeze(node) => self.engine(*node)?.signal(Signal::STOP),
            Act::Thaw(node) => self.engine(*node)?.signal(Signal::CONT),
            Act::Owns(node) => self.owns(*node).await,
            Act::Leaves(node) => {
                let patience = self.patience;
                ensure!(self.engine(*node)?.end(patience).await?.is_some(), "the engine goes on");
                Ok(())
            }
            Act::Refused(node) => self.refused(*node).await,
            Act::Reconfigure(node) => self.reconfigure(*node),
            Act::DropLeases => self.queue().await?.drop_partition_leases().await,
            Act::ClosePast => self.close_past().await,
            Act::OpenPast => {
                self.closed_past = None;
                Ok(())
            }
            Act::SlowCommits => self.slow_commits().await,
            Act::Outage(server, pause) => self.outage(*server, *pause).await,
            Act::Pause(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
        }
    }

    pub(super) async fn start(&mut self, node: Node, faults: &[Fault]) -> anyhow::Result<()> {
        let mut listed: Vec<String> =
            faults.iter().map(|fault| format!("{}@{}", fault.place, fault.count)).collect();
        if self.case.shape.poison {
            listed.push("poison".to_owned());
        }
        let mut engine = Engine::start(&Launch {
            binary: self.binary,
            directory: &self.ground.directory,
            node: node.name(),
            config: &self.settings.file(&self.ground.addresses, node.name()),
            faults: &listed.join(","),
            broken: self.case.broken.unwrap_or_default(),
            environment: &self.case.environment,
        })?;
        // A second node waits for the first one's leases, and is not ready before.
        let is_alone = self.engines.values_mut().all(|(other, _)| matches!(other.ended(), Ok(Some(_))));
        if is_alone {
            engine.ready(self.patience).await?;
        }
        self.engines.insert(node.name(), (engine, faults.to_vec()));
        Ok(())
    }

    async fn stored(&mut self, part: f64) -> anyhow::Result<()> {
        let wanted = (self.traffic.expected.scored as f64 * part) as i64;
        let started = Instant::now();
        let mut tables = self.tables().await?;
        while tables.number("SELECT sum(scored) FROM partitions").await? < wanted {
            ensure!(started.elapsed() < self.patience, "fewer than {wanted} readings are stored");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn dies(&mut self, node: Node) -> anyhow::Result<()> {
        let patience = self.patience.min(FIRING);
        let Some((engine, faults)) = self.engines.get_mut(node.name()) else {
            bail!("node {} was not started", node.name())
        };
        let Some(status) = engine.end(patience).await? else {
            self.unmet = true;
            bail!("the fail point did not fire: the engine goes on");
        };
        ensure!(status.signal() == Some(9), "the engine ended otherwise: {status}");
        let fired = engine.fired();
        let wanted = |place: &String| faults.iter().any(|fault| fault.place == place);
        ensure!(!fired.is_empty() && fired.iter().all(wanted), "fired: {fired:?}");
        self.check_checkpoints().await
    }

    async fn dies_or_is_killed(&mut self, node: Node, patience: Duration) -> anyhow::Result<()> {
        let engine = self.engine(node)?;
        match engine.end(patience).await? {
            Some(status) => ensure!(status.signal() == Some(9), "the engine ended otherwise: {status}"),
            None => engine.kill()?,
        }
        self.check_checkpoints().await
    }

    async fn meets(&mut self, node: Node, sign: &str) -> anyhow::Result<()> {
        let patience = self.patience.min(FIRING);
        let started = Instant::now();
        while !self.engine(node)?.log().contains(sign) {
            if started.elapsed() > patience {
                self.unmet = true;
                bail!("the log does not say: {sign}");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self, node: Node) -> anyhow::Result<()> {
        let patience = self.patience;
        let engine = self.engine(node)?;
        engine.signal(Signal::TERM)?;
        let Some(status) = engine.end(patience).await? else { bail!("the engine does not stop") };
        ensure!(status.success(), "the engine stopped with {status}");
        Ok(())
    }

    /// Who does not get the partitions may be kept from them by another node's session, which is said then.
    async fn owns(&mut self, node: Node) -> anyhow::Result<()> {
        const SESSIONS: &str = "SELECT application_name, state, wait_event_type, now() - state_change AS since, query
            FROM pg_stat_activity WHERE datname = current_database() AND state LIKE '%transaction%' OR wait_event_type = 'Lock'";
        let started = Instant::now();
        let owned = |number: Option<f64>| number.is_some_and(|owned| owned >= f64::from(PARTITIONS));
        while !owned(self.engine(node)?.metric("thicket_partitions_owned").await) {
            if started.elapsed() > TAKEOVER {
                let sessions = self.tables().await?.texts(SESSIONS).await?.join("\n    ");
                bail!("node {} does not get the partitions within {TAKEOVER:?}\n    {sessions}", node.name());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// A node that is not refused has broken no promise yet; the tables tell.
    async fn refused(&mut self, node: Node) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < REFUSAL {
            if self.engine(node)?.metric("thicket_commits_fenced_total").await.unwrap_or_default() > 0.5 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        self.complaints.push(format!("node {} was refused no commit", node.name()));
        Ok(())
    }

    fn reconfigure(&mut self, node: Node) -> anyhow::Result<()> {
        let other = Settings { alarms_per_week: 1.0, ..self.settings.clone() };
        let file = other.file(&self.ground.addresses, node.name());
        let engine = self.engine(node)?;
        engine.rewrite_config(&file)?;
        engine.signal(Signal::HUP)
    }

    async fn close_past(&mut self) -> anyhow::Result<()> {
        let mut tables = self.tables().await?;
        tables.execute("BEGIN; LOCK TABLE heard_labels IN ACCESS EXCLUSIVE MODE").await?;
        self.closed_past = Some(tables);
        Ok(())
    }

    /// Holds the partitions' rows now and then, as somebody's long query might.
    async fn slow_commits(&mut self) -> anyhow::Result<()> {
        let url = self.ground.addresses.postgres.clone();
        let mut tables = Tables::open(&url).await?;
        self.slowing = Some(tokio::spawn(async move {
            loop {
                let locked = tables.execute("BEGIN; SELECT 1 FROM partitions ORDER BY id FOR UPDATE").await;
                tokio::time::sleep(SLOW).await;
                if locked.is_err() || tables.execute("COMMIT").await.is_err() {
                    match Tables::open(&url).await {
                        Ok(again) => tables = again,
                        Err(_) => return,
                    }
                }
                tokio::time::sleep(QUICK).await;
            }
        }));
        Ok(())
    }

    async fn outage(&mut self, server: Server, pause: Duration) -> anyhow::Result<()> {
        self.stage.kill(server)?;
        tokio::time::sleep(pause).await;
        if server == Server::Mosquitto {
            return self.outage_of_broker().await;
        }
        self.stage.restart(server)
    }
}
