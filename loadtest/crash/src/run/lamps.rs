//! What engines say of a disturbance while it lasts, and how long they take to recover from it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use thicket_testkit::timing::POLL_INTERVAL;

use super::state::CaseRun;
use crate::case::Node;

/// How long `/readyz` may take to say that something is wrong: an operation is stuck after 20 s, a
/// silent broker is left after 45 s.
const LAMP_LIMIT: Duration = Duration::from_mins(1);
/// How long a recovery may take: the longest wait of the engine for a server that is back.
const RECOVERY_LIMIT: Duration = Duration::from_secs(40);
/// How long PostgreSQL may take to answer a question while it is disturbed.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Warnings that one disturbance may cause. Each kind of operation that fails says so once a
/// minute, not once for each of its partitions.
const MOST_WARNINGS: usize = 24;
/// Warnings about what devices send. They do not come from a disturbance: there is one for each
/// sensor whose clock is wrong.
const ABOUT_DEVICES: [&str; 3] = [
    "messages became dead letters",
    "the clock of a sensor is",
    "reading after reading of the sensor is late",
];

impl CaseRun<'_> {
    pub(super) async fn until_readyz(&mut self, node: Node, status: u16, part: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            // The engine may not listen yet.
            let found = match self.engine(node)?.get("/readyz").await {
                Ok(answer) if answer.status == status && answer.body.contains(part) => return Ok(()),
                Ok(answer) => format!("{} {}", answer.status, answer.body.trim()),
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                started.elapsed() < LAMP_LIMIT,
                "/readyz of node {} is {found}, not {status} {part}",
                node.name()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) async fn until_logged(&mut self, node: Node, text: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while !self.engine(node)?.log().contains(text) {
            ensure!(started.elapsed() < self.timeout, "the log does not say: {text}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Notes that a disturbance ends now.
    pub(super) async fn note_cure(&mut self) -> anyhow::Result<()> {
        // PostgreSQL may be the server that does not answer. Then any commit is a new one.
        let delivered = async { self.tables().await?.ledger_sum("delivered").await };
        let delivered = tokio::time::timeout(ANSWER_LIMIT, delivered).await.ok().and_then(Result::ok);
        self.cured = Some((Instant::now(), delivered.unwrap_or_default()));
        Ok(())
    }

    /// Waits until records are committed again and the engine is ready, and notes both times.
    pub(super) async fn until_recovered(&mut self, node: Node) -> anyhow::Result<()> {
        let Some((cured, before)) = self.cured else { return Ok(()) };
        let mut first_commit = None;
        loop {
            if first_commit.is_none() && self.tables().await?.ledger_sum("delivered").await? > before {
                first_commit = Some(cured.elapsed());
            }
            let is_ready = self.engine(node)?.is_ready().await;
            if let (Some(first), true) = (first_commit, is_ready) {
                let (first, ready) = (first.as_secs_f64(), cured.elapsed().as_secs_f64());
                self.remarks.push(format!("commits again after {first:.1} s, ready after {ready:.1} s"));
                return self.check_warnings(node);
            }
            let problem = if is_ready { "commits nothing" } else { "is not ready" };
            ensure!(
                cured.elapsed() < RECOVERY_LIMIT,
                "node {} {problem} {RECOVERY_LIMIT:?} after the end of the disturbance",
                node.name()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Checks that the disturbance has not flooded the log.
    fn check_warnings(&mut self, node: Node) -> anyhow::Result<()> {
        let log = self.engine(node)?.log();
        let is_warning = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        let is_about_devices = |line: &str| ABOUT_DEVICES.iter().any(|text| line.contains(text));
        let warnings = log.lines().filter(is_warning).filter(|line| !is_about_devices(line)).count();
        if warnings > MOST_WARNINGS {
            self.findings.push(format!("{warnings} warnings in the log of node {}", node.name()));
        }
        Ok(())
    }
}
