//! What is done to engines and servers.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{bail, ensure};
use thicket_testkit::receivers::Answer;
use thicket_testkit::timing::POLL_INTERVAL;
use thicket_testkit::{EngineProcess, Launch, Signal, Tables, WrongClock, log_lines};

use super::progress::Progress;
use super::state::CaseRun;
use crate::case::{Action, Build, Fault, Node};
use crate::environment::Server;
use crate::settings::{PARTITIONS, Settings};

/// How long slow commits are blocked, and how long they are free in between.
const BLOCKED: Duration = Duration::from_millis(150);
const FREE: Duration = Duration::from_millis(60);
/// How long nothing may happen until a fail point is reached.
const FIRE_LIMIT: Duration = Duration::from_mins(1);
/// How long nothing may happen until a takeover, far longer than a lease.
const TAKEOVER_LIMIT: Duration = Duration::from_mins(1);
/// How long nothing may happen until a commit is fenced.
const FENCE_LIMIT: Duration = Duration::from_mins(1);

impl CaseRun<'_> {
    pub(super) async fn act(&mut self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::Start(node, faults) => self.start_engine(*node, faults).await?,
            Action::Set(settings) => self.settings = settings.clone(),
            Action::Release(part) => self.release(*part),
            Action::Settle => self.settle().await?,
            Action::UntilStored(part) => self.until_stored(*part).await?,
            Action::UntilIdle => self.until_idle().await?,
            Action::UntilKilled(node) => self.until_killed(*node).await?,
            Action::KillAfter(node, limit) => self.kill_after(*node, *limit).await?,
            Action::UntilReplyLost(node) => self.until_reply_lost(*node).await?,
            Action::Kill(node) => {
                self.engine(*node)?.kill()?;
                self.check_checkpoints().await?;
            }
            Action::Stop(node) => self.stop(*node).await?,
            Action::Freeze(node) => self.engine(*node)?.signal(Signal::STOP)?,
            Action::Thaw(node) => self.engine(*node)?.signal(Signal::CONT)?,
            Action::UntilOwner(node) => self.until_owner(*node).await?,
            Action::UntilShared => self.until_shared().await?,
            Action::UntilEnded(node) => {
                let ended = self.wait_while_active(*node, self.timeout).await?;
                ensure!(ended.is_some(), "the engine still runs");
            }
            Action::UntilFenced(node) => self.until_fenced(*node).await?,
            Action::Refuse(status) => self.environment.receiver().answer(Answer::Status(*status)),
            Action::UntilRefused(count) => self.until_refused(*count).await?,
            Action::Reconfigure(node) => self.reconfigure(*node)?,
            Action::DropLeases => self.redis().await?.drop_partition_leases().await?,
            Action::BlockRestores => {
                let mut tables = self.tables().await?;
                tables.block_restores().await?;
                self.restore_blocker = Some(tables);
            }
            Action::UnblockRestores => self.restore_blocker = None,
            Action::SlowCommits => self.slow_commits().await?,
            Action::Outage(server, pause) => self.outage(*server, *pause).await?,
            Action::Build(build) => self.build = *build,
            Action::UntilReadyz(node, status, part) => self.until_readyz(*node, *status, part).await?,
            Action::UntilLogged(node, text) => self.until_logged(*node, text).await?,
            Action::UntilRecovered(node) => self.until_recovered(*node).await?,
            Action::Pause(time) => tokio::time::sleep(*time).await,
            _ => self.disturb(action).await?,
        }
        Ok(())
    }

    pub(super) async fn start_engine(&mut self, node: Node, faults: &[Fault]) -> anyhow::Result<()> {
        let mut listed: Vec<String> =
            faults.iter().map(|fault| format!("{}@{}", fault.place, fault.count)).collect();
        if self.case.shape.poison {
            listed.push("poison".to_owned());
        }
        if self.build == Build::Later {
            listed.push("later-algorithm".to_owned());
        }
        let listed = listed.join(",");
        let mut environment = self.case.environment.clone();
        environment.push(("THICKET_BREAK", self.case.broken.unwrap_or_default()));
        let mut environment: Vec<(&str, &str)> = environment;
        environment.push(("THICKET_FAULTS", &listed));
        let clock = self.clock.as_ref().map(WrongClock::environment);
        environment.extend(clock.iter().flatten().map(|(name, value)| (*name, value.as_str())));
        let mut engine = EngineProcess::start(&Launch {
            binary: self.binary,
            directory: &self.workspace.directory,
            name: node.name(),
            config: &self.settings.file(&self.engine_addresses(), node.name(), self.routes()),
            environment: &environment,
        })?;
        // A second node may have to wait for leases of the first, and is not ready before.
        let is_alone = self.engines.values_mut().all(|(other, _)| matches!(other.ended(), Ok(Some(_))));
        if is_alone {
            engine.ready_or_killed(self.timeout).await?;
        }
        self.engines.insert(node.name(), (engine, faults.to_vec()));
        Ok(())
    }

    async fn until_stored(&mut self, part: f64) -> anyhow::Result<()> {
        let wanted = (self.traffic.expected.scored as f64 * part) as i64;
        let mut progress = Progress::within(self.timeout);
        let mut tables = self.tables().await?;
        loop {
            let scored = tables.ledger_sum("scored").await?;
            if scored >= wanted {
                return Ok(());
            }
            ensure!(!progress.has_ended(scored), "{scored} readings are stored, fewer than {wanted}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn until_killed(&mut self, node: Node) -> anyhow::Result<()> {
        let limit = self.timeout.min(FIRE_LIMIT);
        let Some(status) = self.wait_while_active(node, limit).await? else {
            self.unmet = true;
            bail!("the fail point did not fire: the engine still runs");
        };
        let Some((engine, faults)) = self.engines.get(node.name()) else {
            bail!("node {} was not started", node.name())
        };
        ensure!(is_killed(status), "the engine ended otherwise: {status}");
        let fired = engine.fired();
        let is_wanted = |place: &String| faults.iter().any(|fault| fault.place == place);
        ensure!(!fired.is_empty() && fired.iter().all(is_wanted), "fired: {fired:?}");
        self.check_checkpoints().await
    }

    async fn kill_after(&mut self, node: Node, limit: Duration) -> anyhow::Result<()> {
        let engine = self.engine(node)?;
        match engine.wait(limit).await? {
            Some(status) => ensure!(is_killed(status), "the engine ended otherwise: {status}"),
            None => engine.kill()?,
        }
        self.check_checkpoints().await
    }

    async fn until_reply_lost(&mut self, node: Node) -> anyhow::Result<()> {
        let limit = self.timeout.min(FIRE_LIMIT);
        let line = log_lines::REPLY_LOST.text;
        let mut progress = Progress::within(limit);
        while !self.engine(node)?.log().contains(line) {
            if progress.has_ended(self.activity().await) {
                self.unmet = true;
                bail!("the log does not say: {line}");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self, node: Node) -> anyhow::Result<()> {
        self.engine(node)?.signal(Signal::TERM)?;
        let Some(status) = self.wait_while_active(node, self.timeout).await? else {
            bail!("the engine does not stop")
        };
        ensure!(status.success(), "the engine stopped with {status}");
        Ok(())
    }

    /// The error lists the sessions of the database: one of them may keep the node from its
    /// partitions.
    async fn until_owner(&mut self, node: Node) -> anyhow::Result<()> {
        let mut progress = Progress::within(TAKEOVER_LIMIT);
        loop {
            let owned = self.metric(node, "thicket_partitions_owned").await?;
            if owned >= f64::from(PARTITIONS) {
                return Ok(());
            }
            if progress.has_ended((owned, self.activity().await)) {
                let sessions = self.tables().await?.blocking_sessions().await?;
                bail!(
                    "node {} does not own all partitions, and makes no progress\n    {sessions}",
                    node.name()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn until_shared(&mut self) -> anyhow::Result<()> {
        let share = f64::from(PARTITIONS / 2);
        let mut progress = Progress::within(TAKEOVER_LIMIT);
        loop {
            let mut owned = Vec::new();
            for node in [Node::A, Node::B] {
                owned.push(self.metric(node, "thicket_partitions_owned").await?);
            }
            if owned.iter().all(|owned| *owned >= share) {
                return Ok(());
            }
            ensure!(
                !progress.has_ended((owned.clone(), self.activity().await)),
                "the nodes do not share the partitions: they own {owned:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// A node that is not fenced has broken no promise yet, so the case goes on; the tables will
    /// show it.
    async fn until_fenced(&mut self, node: Node) -> anyhow::Result<()> {
        let mut progress = Progress::within(FENCE_LIMIT);
        while !progress.has_ended(self.activity().await) {
            if self.metric(node, "thicket_commits_fenced_total").await? > 0.5 {
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.complaints.push(format!("no commit of node {} was fenced", node.name()));
        Ok(())
    }

    /// The sum of a metric; 0 while the engine does not answer.
    async fn metric(&mut self, node: Node, name: &str) -> anyhow::Result<f64> {
        let metrics = self.engine(node)?.metrics().await;
        Ok(metrics.map(|metrics| metrics.sum(name)).unwrap_or_default())
    }

    fn reconfigure(&mut self, node: Node) -> anyhow::Result<()> {
        let other = Settings { alarms_per_week: 1.0, ..self.settings.clone() };
        let file = other.file(&self.engine_addresses(), node.name(), self.routes());
        let engine = self.engine(node)?;
        engine.rewrite_config(&file)?;
        engine.signal(Signal::HUP)
    }

    /// Locks the rows of the partitions again and again, as another program's long query might.
    async fn slow_commits(&mut self) -> anyhow::Result<()> {
        let url = self.workspace.addresses.postgres.clone();
        let mut tables = Tables::open(&url).await?;
        self.slow_commits = Some(tokio::spawn(async move {
            loop {
                let blocked = tables.block_commits().await;
                tokio::time::sleep(BLOCKED).await;
                if blocked.is_err() || tables.release().await.is_err() {
                    match Tables::open(&url).await {
                        Ok(reopened) => tables = reopened,
                        Err(_) => return,
                    }
                }
                tokio::time::sleep(FREE).await;
            }
        }));
        Ok(())
    }

    async fn outage(&mut self, server: Server, pause: Duration) -> anyhow::Result<()> {
        self.environment.kill(server)?;
        tokio::time::sleep(pause).await;
        if server == Server::Mosquitto {
            return self.recover_broker().await;
        }
        self.environment.restart(server)
    }
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}
