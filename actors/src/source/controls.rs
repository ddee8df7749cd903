//! Appends the configuration of sensors, the labels of anomalies and requests about sensors to the
//! log as control entries. So each takes effect at one position, the same in every replay.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use thicket_schema::{Control, PartitionId};
use thicket_store::complaints;
use tokio::sync::Notify;

use thicket_store::postgres::{
    PostgresPool, StoreError, UnloggedLabel, UnloggedRequest, mark_logged, mark_requests_logged,
    partitions_configured_otherwise, unlogged_labels, unlogged_requests,
};

use thicket_store::redis::{LogReader, RedisError};

use crate::messages::AppendControls;

/// Time between two queries for labels that are not in the log yet.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Why it is unknown what to publish.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Postgres(#[from] StoreError),
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
}

/// Publishes control entries while this node writes the log.
pub(super) struct ControlPublisher {
    pool: PostgresPool,
    log: LogReader,
    partitions: u16,
    writer: Recipient<AppendControls>,
    /// The configuration of all sensors on this node, as JSON.
    detectors: RefCell<Arc<str>>,
    /// Whether every log has this configuration.
    published: Cell<bool>,
    changed_since_start: Cell<bool>,
    is_writer: Cell<bool>,
    changed: Notify,
}

impl ControlPublisher {
    /// Creates the publisher for the logs of this number of partitions.
    pub(super) fn new(
        pool: PostgresPool,
        (log, partitions): (LogReader, u16),
        writer: Recipient<AppendControls>,
        detectors: Arc<str>,
    ) -> Self {
        Self {
            pool,
            log,
            partitions,
            writer,
            detectors: RefCell::new(detectors),
            published: Cell::new(false),
            changed_since_start: Cell::new(false),
            is_writer: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Replaces the configuration and publishes the new one.
    pub(super) fn replace(&self, detectors: Arc<str>) {
        self.detectors.replace(detectors);
        self.published.set(false);
        self.changed_since_start.set(true);
        self.changed.notify_one();
    }

    /// Tells the publisher whether this node writes the log.
    pub(super) fn set_writer(&self, is_writer: bool) {
        if self.is_writer.replace(is_writer) != is_writer {
            self.published.set(false);
            self.changed.notify_one();
        }
    }

    /// Publishes each configuration and label that is not in the log yet. Never returns. Readings
    /// do not wait for it.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            if self.is_writer.get()
                && let Err(error) = self.publish().await
                && let Some(repeated) = complaints::due("publish control entries", &error)
            {
                tracing::warn!(%error, repeated, "cannot read which control entries to publish; retrying");
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn publish(&self) -> Result<(), PublishError> {
        if !self.published.get() {
            let detectors = Arc::clone(&self.detectors.borrow());
            // After a change, every log gets the configuration. The table has only the committed
            // configuration of each log. An earlier writer may have appended a later one, and cannot
            // append any more: so a log whose entries are all committed has the one in the table.
            let mut partitions: Vec<_> = (0..self.partitions).map(PartitionId).collect();
            if !self.changed_since_start.get() {
                let newest = self.log.newest_of(&partitions).await?;
                partitions = partitions_configured_otherwise(&self.pool, &detectors, &newest).await?;
            }
            let control = |partition| (partition, Control::Detectors(detectors.to_string()));
            if self.append(partitions.into_iter().map(control).collect()).await {
                tracing::debug!("every log has the configuration of its sensors");
                self.published.set(Arc::ptr_eq(&detectors, &self.detectors.borrow()));
            }
        }
        let labels = unlogged_labels(&self.pool).await?;
        let control = |label: &UnloggedLabel| {
            let UnloggedLabel { partition, sensor, started, label, .. } = label.clone();
            (partition, Control::Label { sensor, started, label })
        };
        if !labels.is_empty() && self.append(labels.iter().map(control).collect()).await {
            mark_logged(&self.pool, &labels).await?;
        }
        let requests = unlogged_requests(&self.pool).await?;
        let control = |request: &UnloggedRequest| {
            let UnloggedRequest { id, partition, sensor, action } = request.clone();
            (partition, Control::Sensor { sensor, action, request: id })
        };
        if !requests.is_empty() && self.append(requests.iter().map(control).collect()).await {
            mark_requests_logged(&self.pool, &requests).await?;
        }
        Ok(())
    }

    /// Appends controls. Returns whether the log holds them.
    async fn append(&self, controls: Vec<(PartitionId, Control)>) -> bool {
        if controls.is_empty() {
            return true;
        }
        tracing::info!(entries = controls.len(), "appending control entries to the log");
        self.writer.send(AppendControls { controls }).await.unwrap_or(false)
    }
}
