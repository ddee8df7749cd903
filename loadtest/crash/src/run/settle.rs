//! How every case ends: an engine without faults, the rest of the traffic, a closing reading of
//! each sensor, all checks, and a stop.

use std::time::Duration;

use anyhow::ensure;
use thicket_testkit::log_lines;
use thicket_testkit::timing::POLL_INTERVAL;

use super::progress::Progress;
use super::state::CaseRun;
use crate::case::{Action, Node};
use crate::settings::CHECKPOINT_EVERY;

/// Checkpoints that every sensor must have passed. The first comes at a phase of the sensor's own,
/// the others [`CHECKPOINT_EVERY`] readings apart.
const CHECKPOINTS: u64 = 2;
/// How often it is checked whether everything is committed.
const INTERVAL: Duration = Duration::from_millis(60);

impl CaseRun<'_> {
    pub(super) async fn settle_and_check(&mut self) -> anyhow::Result<()> {
        let node = self.survivor().await?;
        self.release(1.0);
        self.settle().await?;
        // The closing readings are published after everything else, so also after what the broker
        // redelivers.
        let closing = self.start_feeder(self.traffic.closing.clone());
        closing.release(usize::MAX);
        closing.settle(self.timeout).await?;
        self.until_closed().await?;
        self.end_disturbances().await;
        if self.everything_has_arrived().await? {
            self.until_checkpointed_and_trimmed().await?;
        }
        self.check_engine(node).await?;
        if self.case.notified {
            self.until_told().await?;
            self.check_told().await?;
        }
        for (engine, _) in self.engines.values() {
            if engine.log().contains(log_lines::PANIC.text) && !self.case.shape.poison {
                self.findings.push("an actor panicked".to_owned());
            }
        }
        self.stop(node).await
    }

    /// Whether the engines have received everything that was published. Without it, sensors may
    /// have too few readings for their checkpoints, and that would be the only complaint.
    async fn everything_has_arrived(&mut self) -> anyhow::Result<bool> {
        let delivered = self.tables().await?.number("SELECT sum(delivered) FROM ledger").await?;
        let published = self.traffic.expected.records;
        let has_arrived = delivered >= published.cast_signed();
        if !has_arrived {
            let complaint =
                "of the published records have reached the ledger: the broker or an engine lost the others";
            self.findings.push(format!("{delivered} of {published} {complaint}"));
        }
        Ok(has_arrived)
    }

    /// Checks that no restore went wrong and that `thicket reconcile` finds no difference.
    async fn check_engine(&mut self, node: Node) -> anyhow::Result<()> {
        let engine = self.engine(node)?;
        let mut found = Vec::new();
        match engine.metrics().await.map(|metrics| metrics.sum("thicket_restore_mismatches_total")) {
            Ok(mismatches) if mismatches < 0.5 => {}
            Ok(mismatches) => found.push(format!("{mismatches} scores were not reproduced by a restore")),
            Err(error) => found.push(format!("the engine returns no metrics: {error:#}")),
        }
        let reconciled = tokio::task::block_in_place(|| engine.command(&["reconcile"]))?;
        if !reconciled.status.success() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            let (printed, errors) = (text(&reconciled.stdout), text(&reconciled.stderr));
            found.push(format!("thicket reconcile: {printed}\n{errors}"));
        }
        self.findings.extend(found);
        Ok(())
    }

    /// The node that ends the case: B if it runs, else A, which is started again if it is dead.
    async fn survivor(&mut self) -> anyhow::Result<Node> {
        for node in [Node::B, Node::A] {
            if let Some((engine, _)) = self.engines.get_mut(node.name())
                && engine.ended()?.is_none()
            {
                engine.ready_or_killed(self.timeout).await?;
                return Ok(node);
            }
        }
        self.start_engine(Node::A, &[]).await?;
        Ok(Node::A)
    }

    /// Waits until every sensor's closing reading is committed, and with it everything in the logs.
    async fn until_closed(&mut self) -> anyhow::Result<()> {
        let mut progress = Progress::within(self.timeout);
        let (redis, mut tables) = (self.redis().await?, self.tables().await?);
        // The closing readings have the same time, which no other reading has.
        let closing = &self.traffic.closing;
        let time = closing.iter().find_map(|message| message.brings.first()).copied().unwrap_or_default();
        loop {
            let stored = tables.readings_at(time).await? as usize;
            let positions = tables.positions().await?;
            if stored == closing.len() {
                let newest: Vec<_> = redis.logs().await?.into_iter().map(|log| log.newest).collect();
                if newest == positions {
                    return Ok(());
                }
            }
            ensure!(
                !progress.has_ended((stored, positions)),
                "not everything is committed: the closing readings of {stored} of {} sensors\n{}",
                closing.len(),
                tables.ledger().await?
            );
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Waits until every sensor has passed its checkpoints, and every log was trimmed: otherwise
    /// the case proves little. A Redis at its limit refuses checkpoints, and the next one of such a
    /// sensor may come after the traffic has ended.
    async fn until_checkpointed_and_trimmed(&mut self) -> anyhow::Result<()> {
        let mut progress = Progress::within(self.timeout);
        let redis = self.redis().await?;
        let are_refused = self.case.actions.iter().any(|action| matches!(action, Action::LimitRedis(_)));
        let checkpointed = if are_refused { &[] } else { &self.traffic.sensors[..] };
        loop {
            let mut behind = Vec::new();
            for sensor in checkpointed {
                let seq = redis.checkpoint_seq(sensor).await?;
                if seq <= (CHECKPOINTS - 1) * CHECKPOINT_EVERY {
                    behind.push(format!("{sensor} ({seq})"));
                }
            }
            let untrimmed = redis.logs().await?.iter().filter(|log| !log.trimmed).count();
            if behind.is_empty() && untrimmed == 0 {
                return Ok(());
            }
            ensure!(
                !progress.has_ended((behind.clone(), untrimmed)),
                "{behind:?} have not passed {CHECKPOINTS} checkpoints, {untrimmed} logs were not trimmed"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
