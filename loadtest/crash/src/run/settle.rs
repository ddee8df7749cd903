//! How every case ends: an engine without faults, the rest of the traffic, a closing reading of each sensor, and a stop in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Play, publisher_name};
use crate::case::{Node, RATE};
use crate::engine::LOOK;
use crate::publisher::Publisher;
use crate::settings::CHECKPOINT_EVERY;

/// Checkpoints that every sensor must have run past. The first comes at a phase of the sensor's own, the others so many readings apart.
const CHECKPOINTS: u64 = 2;

impl Play<'_> {
    pub(super) async fn finale(&mut self) -> anyhow::Result<()> {
        let node = self.survivor().await?;
        self.flow(1.0);
        self.publisher.settle(self.patience).await?;
        // Behind everything else, hence behind what the broker delivers again, too.
        let closing = Arc::new(self.traffic.closing.clone());
        let name = publisher_name(self.ground, self.publishers);
        let mut publisher = Publisher::start(&name, self.stage.broker_port(), closing, RATE);
        publisher.let_through(usize::MAX);
        publisher.settle(self.patience).await?;
        self.until_closed().await?;
        self.quiet().await;
        self.has_run_far_enough().await?;
        let mismatches = self.engine(node)?.metric("thicket_restore_mismatches_total").await;
        if mismatches.is_none_or(|mismatches| mismatches > 0.5) {
            self.findings.push(format!("scores that a restore did not reproduce: {mismatches:?}"));
        }
        let binary = self.binary;
        let reconciled = tokio::task::block_in_place(|| self.engine(node)?.command(binary, &["reconcile"]))?;
        self.findings.extend(reconciled.map(|printed| format!("thicket reconcile: {printed}")));
        for (engine, _) in self.engines.values() {
            if engine.log().contains("panicked at") && !self.case.shape.poison {
                self.findings.push("an actor panicked".to_owned());
            }
        }
        self.stop(node).await
    }

    /// The node that ends the case: B if it is there, A if not, started anew if it is dead.
    async fn survivor(&mut self) -> anyhow::Result<Node> {
        for node in [Node::B, Node::A] {
            if let Some((engine, _)) = self.engines.get_mut(node.name())
                && engine.ended()?.is_none()
            {
                engine.ready(self.patience).await?;
                return Ok(node);
            }
        }
        self.start(Node::A, &[]).await?;
        Ok(Node::A)
    }

    /// Waits until every sensor's closing reading is committed, and with it all that the logs hold.
    async fn until_closed(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let (queue, mut tables) = (self.queue().await?, self.tables().await?);
        // All of them have the same time, which nothing else has.
        let at = self
            .traffic
            .closing
            .iter()
            .find_map(|message| message.brings.first())
            .copied()
            .unwrap_or_default();
        let closed = format!("SELECT count(*) FROM readings WHERE ts = to_timestamp({at})");
        loop {
            let stored = tables.number(&closed).await? as usize;
            if stored == self.traffic.closing.len() {
                let newest: Vec<_> = queue.logs().await?.into_iter().map(|log| log.newest).collect();
                if newest == tables.positions().await? {
                    return Ok(());
                }
            }
            ensure!(
                started.elapsed() < self.patience,
                "not everything is accounted for: {stored} of {} sensors are closed\n{}",
                self.traffic.closing.len(),
                tables.texts("SELECT * FROM ledger").await?.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    /// Waits until every sensor has run past its checkpoints, and every log was trimmed: without that the case says little.
    async fn has_run_far_enough(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let queue = self.queue().await?;
        loop {
            let mut behind = Vec::new();
            for sensor in &self.traffic.sensors {
                let seq = queue.checkpoint(sensor).await?;
                if seq <= (CHECKPOINTS - 1) * CHECKPOINT_EVERY {
                    behind.push(format!("{sensor} ({seq})"));
                }
            }
            let untrimmed = queue.logs().await?.iter().filter(|log| !log.trimmed).count();
            if behind.is_empty() && untrimmed == 0 {
                return Ok(());
            }
            ensure!(
                started.elapsed() < self.patience,
                "{behind:?} have not run past {CHECKPOINTS} checkpoints, {untrimmed} logs were not trimmed"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}
