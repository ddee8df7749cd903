//! The engines, the feeder and the findings of a case while it runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use thicket_testkit::{EngineProcess, RedisProbe, RemoteHost, Tables, WrongClock};
use tokio::task::JoinHandle;

use super::activity::Activity;
use crate::case::{Build, Case, Fault, Node, RATE};
use crate::environment::{Environment, Workspace};
use crate::feeder::Feeder;
use crate::settings::{PARTITIONS, Settings};
use crate::traffic::{Message, Traffic};

/// Lines of each log that a report shows.
const LOG_LINES: usize = 12;

/// A case that runs.
pub(super) struct CaseRun<'a> {
    pub(super) environment: &'a mut Environment,
    pub(super) workspace: &'a Workspace,
    pub(super) binary: &'a Path,
    pub(super) case: &'a Case,
    pub(super) traffic: &'a Traffic,
    pub(super) settings: Settings,
    /// The build of the engines that are started from here on.
    pub(super) build: Build,
    /// The host of the remote server, if there is one.
    pub(super) remote: Option<RemoteHost>,
    /// The wall clock of the engines, if it can be set.
    pub(super) clock: Option<WrongClock>,
    /// By the node's name, each with the faults it was started with.
    pub(super) engines: BTreeMap<&'static str, (EngineProcess, Vec<Fault>)>,
    /// `None` while the broker is away.
    pub(super) feeder: Option<Feeder>,
    feeders: u32,
    /// Messages with numbers below this one are released.
    released: usize,
    /// The session that keeps detectors from being restored.
    pub(super) restore_blocker: Option<Tables>,
    pub(super) slow_commits: Option<JoinHandle<()>>,
    /// The session that keeps the tables of readings locked.
    pub(super) locker: Option<Tables>,
    /// When the last disturbance ended, and how many records were delivered until then.
    pub(super) cured: Option<(Instant, i64)>,
    /// How far the engines were when this was last looked at.
    pub(super) activity: Activity,
    /// How long recoveries took.
    pub(super) remarks: Vec<String>,
    /// What went wrong without ending the case.
    pub(super) complaints: Vec<String>,
    /// Actions of the engine that a rule forbids.
    pub(super) findings: Vec<String>,
    /// Whether a fail point was not reached.
    pub(super) unmet: bool,
    /// Timeout for every expected event.
    pub(super) timeout: Duration,
}

impl<'a> CaseRun<'a> {
    /// Connects the feeder; no engine runs yet.
    pub(super) fn start(
        environment: &'a mut Environment,
        workspace: &'a Workspace,
        binary: &'a Path,
        case: &'a Case,
        traffic: &'a Traffic,
        timeout: Duration,
    ) -> Self {
        let mut run = Self {
            environment,
            workspace,
            binary,
            case,
            traffic,
            settings: Settings::default(),
            build: Build::default(),
            remote: None,
            clock: None,
            engines: BTreeMap::new(),
            feeder: None,
            feeders: 0,
            released: 0,
            restore_blocker: None,
            slow_commits: None,
            locker: None,
            cured: None,
            activity: Activity::default(),
            remarks: Vec::new(),
            complaints: Vec::new(),
            findings: Vec::new(),
            unmet: false,
            timeout,
        };
        run.feeder = Some(run.start_feeder(traffic.messages.clone()));
        run
    }

    /// Connects a feeder with a name of its own.
    pub(super) fn start_feeder(&mut self, messages: Vec<Message>) -> Feeder {
        let directory = self.workspace.directory.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("publisher-{directory}-{}", self.feeders);
        self.feeders += 1;
        let feeder = Feeder::start(&name, self.environment.broker_port(), Arc::new(messages), RATE);
        feeder.release(self.released);
        feeder
    }

    /// Releases this part of the traffic, from the first message on.
    pub(super) fn release(&mut self, part: f64) {
        let number = (self.traffic.messages.len() as f64 * part).round() as usize;
        self.released = self.released.max(number);
        if let Some(feeder) = &self.feeder {
            feeder.release(self.released);
        }
    }

    /// Waits until the broker has acknowledged everything that is released.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        self.feeder.as_ref().context("there is no feeder")?.settle(self.timeout).await
    }

    pub(super) fn engine(&mut self, node: Node) -> anyhow::Result<&mut EngineProcess> {
        let engine = self.engines.get_mut(node.name()).map(|(engine, _)| engine);
        engine.with_context(|| format!("node {} was not started", node.name()))
    }

    pub(super) async fn tables(&self) -> anyhow::Result<Tables> {
        Tables::open(&self.workspace.addresses.postgres).await
    }

    pub(super) async fn redis(&self) -> anyhow::Result<RedisProbe> {
        RedisProbe::connect(&self.workspace.addresses.redis, PARTITIONS).await
    }

    /// Checks that no checkpoint has seen a reading that is not stored. The checkpoints are read
    /// first, so that rows which are stored meanwhile do no harm.
    pub(super) async fn check_checkpoints(&mut self) -> anyhow::Result<()> {
        let redis = self.redis().await?;
        let mut checkpoints = Vec::new();
        for sensor in &self.traffic.sensors {
            checkpoints.push((sensor, redis.checkpoint_seq(sensor).await?));
        }
        let mut tables = self.tables().await?;
        for (sensor, checkpoint) in checkpoints {
            let stored = tables.last_seq(sensor).await?;
            if checkpoint > stored {
                self.findings
                    .push(format!("{sensor} has a checkpoint at {checkpoint}, its rows end at {stored}"));
            }
        }
        Ok(())
    }

    /// Ends what disturbs the engines in the background.
    pub(super) async fn end_disturbances(&mut self) {
        self.restore_blocker = None;
        self.locker = None;
        if let Some(slow_commits) = self.slow_commits.take() {
            slow_commits.abort();
            // It ends with the error that it was cancelled.
            drop(slow_commits.await);
        }
    }

    /// Returns the last lines of every engine's log.
    pub(super) fn logs(&self) -> String {
        let files = std::fs::read_dir(&self.workspace.directory).into_iter().flatten().filter_map(Result::ok);
        let mut logs: Vec<_> =
            files.filter(|file| file.path().extension().is_some_and(|e| e == "log")).collect();
        logs.sort_by_key(|file| file.metadata().and_then(|data| data.modified()).ok());
        let mut text = String::new();
        for log in logs {
            let all = std::fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = all.lines().collect();
            let _ = writeln!(text, "  {}", log.path().display());
            for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
                let _ = writeln!(text, "    {line}");
            }
        }
        text
    }
}
