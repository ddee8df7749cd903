//! Plays a case on a stage: the acts one after the other, then an end that is the same for all, in which an engine without faults
//! accounts for everything.

mod acts;
mod broker;
mod finale;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::case::{Case, Fault, Node, RATE};
use crate::engine::Engine;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::stage::{Ground, Stage};
use crate::tables::Tables;
use crate::traffic::Traffic;
use crate::verdict::Outcome;

/// What came of a case.
#[derive(Debug)]
pub(crate) struct Report {
    /// What stands in the tables, unless it did not come to that.
    pub(crate) outcome: Option<Outcome>,
    /// What went wrong on the way.
    pub(crate) complaints: Vec<String>,
    /// What the engine did that it must not do.
    pub(crate) findings: Vec<String>,
    /// Whether a fail point was not reached.
    pub(crate) unmet: bool,
    /// The end of each engine's log.
    pub(crate) logs: String,
}

/// A case being played.
struct Play<'a> {
    stage: &'a mut Stage,
    ground: &'a Ground,
    binary: &'a Path,
    case: &'a Case,
    traffic: &'a Traffic,
    settings: Settings,
    engines: BTreeMap<&'static str, (Engine, Vec<Fault>)>,
    publisher: Publisher,
    publishers: u32,
    /// Messages with numbers below this one may go.
    flowing: usize,
    /// The session that keeps detectors from their past.
    closed_past: Option<Tables>,
    slowing: Option<JoinHandle<()>>,
    /// What went wrong without ending the case.
    complaints: Vec<String>,
    findings: Vec<String>,
    unmet: bool,
    patience: Duration,
}

/// Plays a case. Fails only where the harness itself cannot go on.
pub(crate) async fn play(
    stage: &mut Stage,
    binary: &Path,
    case: &Case,
    traffic: &Traffic,
    patience: Duration,
) -> anyhow::Result<(Report, Ground)> {
    let ground = stage.prepare(&case.name).await?;
    let messages = Arc::new(traffic.messages.clone());
    let publisher = Publisher::start(&publisher_name(&ground, 0), stage.broker_port(), messages, RATE);
    let mut play = Play {
        stage,
        ground: &ground,
        binary,
        case,
        traffic,
        settings: Settings::default(),
        engines: BTreeMap::new(),
        publisher,
        publishers: 1,
        flowing: 0,
        closed_past: None,
        slowing: None,
        complaints: Vec::new(),
        findings: Vec::new(),
        unmet: false,
        patience,
    };
    let played = play.run().await;
    let logs = play.logs();
    let mut complaints = std::mem::take(&mut play.complaints);
    let (findings, unmet) = (std::mem::take(&mut play.findings), play.unmet);
    play.quiet().await;
    drop(play);
    let outcome = match played {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            complaints.insert(0, format!("{error:#}"));
            None
        }
    };
    Ok((Report { outcome, complaints, findings, unmet, logs }, ground))
}

impl Play<'_> {
    async fn run(&mut self) -> anyhow::Result<Outcome> {
        for act in &self.case.acts {
            self.act(act).await.map_err(|error| error.context(format!("{act:?}")))?;
        }
        self.finale().await?;
        Outcome::read(&self.ground.addresses.postgres).await
    }

    /// Lets this part of the traffic through, from the first message on.
    fn flow(&mut self, part: f64) {
        let number = (self.traffic.messages.len() as f64 * part).round() as usize;
        self.flowing = self.flowing.max(number);
        self.publisher.let_through(self.flowing);
    }

    fn engine(&mut self, node: Node) -> anyhow::Result<&mut Engine> {
        let engine = self.engines.get_mut(node.name()).map(|(engine, _)| engine);
        engine.ok_or_else(|| anyhow::anyhow!("node {} was not started", node.name()))
    }

    async fn tables(&self) -> anyhow::Result<Tables> {
        Tables::open(&self.ground.addresses.postgres).await
    }

    async fn queue(&self) -> anyhow::Result<Queue> {
        Queue::connect(&self.ground.addresses.redis).await
    }

    /// No checkpoint may know more than the rows. The checkpoints are read first, so that rows of meanwhile do not accuse anybody.
    async fn check_checkpoints(&mut self) -> anyhow::Result<()> {
        let queue = self.queue().await?;
        let mut checkpoints = Vec::new();
        for sensor in &self.traffic.sensors {
            checkpoints.push((sensor, queue.checkpoint(sensor).await?));
        }
        let mut tables = self.tables().await?;
        for (sensor, checkpoint) in checkpoints {
            let id = sensor.id().0;
            let rows = tables.number(&format!("SELECT max(seq) FROM readings WHERE sensor = {id}")).await?;
            if checkpoint > rows as u64 {
                self.findings
                    .push(format!("{sensor} has a checkpoint at {checkpoint}, its rows end at {rows}"));
            }
        }
        Ok(())
    }

    /// Ends what disturbs in the background.
    async fn quiet(&mut self) {
        self.closed_past = None;
        if let Some(slowing) = self.slowing.take() {
            slowing.abort();
            // Cancelled, which is what was asked for.
            drop(slowing.await);
        }
    }

    /// The last lines of every log of the case.
    fn logs(&self) -> String {
        const LINES: usize = 12;
        let files = std::fs::read_dir(&self.ground.directory).into_iter().flatten().filter_map(Result::ok);
        let mut logs: Vec<_> =
            files.filter(|file| file.path().extension().is_some_and(|e| e == "log")).collect();
        logs.sort_by_key(|file| file.metadata().and_then(|data| data.modified()).ok());
        let mut text = String::new();
        for log in logs {
            let all = std::fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = all.lines().collect();
            let _ = writeln!(text, "  {}", log.path().display());
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                let _ = writeln!(text, "    {line}");
            }
        }
        text
    }
}

fn publisher_name(ground: &Ground, number: u32) -> String {
    let case =
        ground.directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    format!("publisher-{case}-{number}")
}
