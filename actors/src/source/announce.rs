//! What people decide goes into the log: how sensors are configured, and what an anomaly is. So it takes effect at one place, and at the same
//! place in every replay.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use thicket_schema::{Control, PartitionId};
use tokio::sync::Notify;

use crate::checkpoint::{HistoryError, PostgresPool};
use crate::messages::Announce;
use crate::ownership::{
    UnannouncedLabel, all_partitions, mark_announced, partitions_configured_otherwise, unannounced_labels,
};
use crate::queue::QueueWriter;

/// How often the tables are asked for labels that nobody has announced yet.
const LOOK: Duration = Duration::from_secs(5);

/// Announces, as long as this node writes the log.
pub(super) struct Announcer {
    pool: PostgresPool,
    writer: Addr<QueueWriter>,
    /// What this node wants the sensors' configuration to be.
    detectors: RefCell<Arc<str>>,
    /// Whether that has been announced, and not changed since.
    said: Cell<bool>,
    changed_since_start: Cell<bool>,
    writes: Cell<bool>,
    changed: Notify,
}

impl Announcer {
    pub(super) fn new(pool: PostgresPool, writer: Addr<QueueWriter>, detectors: Arc<str>) -> Self {
        Self {
            pool,
            writer,
            detectors: RefCell::new(detectors),
            said: Cell::new(false),
            changed_since_start: Cell::new(false),
            writes: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Wants another configuration from now on.
    pub(super) fn replace(&self, detectors: Arc<str>) {
        self.detectors.replace(detectors);
        self.said.set(false);
        self.changed_since_start.set(true);
        self.changed.notify_one();
    }

    /// This node writes the log from now on, or does not any more.
    pub(super) fn set_writes(&self, writes: bool) {
        if self.writes.replace(writes) != writes {
            self.said.set(false);
            self.changed.notify_one();
        }
    }

    /// Announces what there is to announce, for ever. Readings do not wait for it.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            if self.writes.get()
                && let Err(error) = self.announce().await
            {
                tracing::warn!(%error, "postgresql cannot be asked what is to be announced; trying again");
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn announce(&self) -> Result<(), HistoryError> {
        if !self.said.get() {
            let detectors = Arc::clone(&self.detectors.borrow());
            // After a change, all are told: what is in a log and not committed yet may say otherwise than the tables.
            let partitions = if self.changed_since_start.get() {
                all_partitions(&self.pool).await?
            } else {
                partitions_configured_otherwise(&self.pool, &detectors).await?
            };
            let control = |partition| (partition, Control::Detectors(detectors.to_string()));
            if self.append(partitions.into_iter().map(control).collect()).await {
                tracing::debug!("every log says how its sensors are configured");
                self.said.set(Arc::ptr_eq(&detectors, &self.detectors.borrow()));
            }
        }
        let labels = unannounced_labels(&self.pool).await?;
        let control = |label: &UnannouncedLabel| {
            let UnannouncedLabel { partition, sensor, started, label, .. } = label.clone();
            (partition, Control::Label { sensor, started, label })
        };
        if !labels.is_empty() && self.append(labels.iter().map(control).collect()).await {
            mark_announced(&self.pool, &labels).await?;
        }
        Ok(())
    }

    /// Whether the controls are in the log now.
    async fn append(&self, controls: Vec<(PartitionId, Control)>) -> bool {
        if controls.is_empty() {
            return true;
        }
        tracing::info!(entries = controls.len(), "controls go into the log");
        self.writer.send(Announce { controls }).await.unwrap_or(false)
    }
}
