//! Tells every partition's log how sensors are configured, so that a change takes effect at one place in each log, and at the same
//! place in every replay.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;

use crate::checkpoint::PostgresPool;
use crate::messages::Announce;
use crate::ownership::partitions_configured_otherwise;
use crate::queue::QueueWriter;

const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What this node wants the sensors' configuration to be. Only the node that writes the log may say so.
pub(super) struct Announcer {
    pool: PostgresPool,
    writer: Addr<QueueWriter>,
    detectors: RefCell<Arc<str>>,
    /// Whether this node writes the log.
    writes: Cell<bool>,
}

impl Announcer {
    pub(super) fn new(pool: PostgresPool, writer: Addr<QueueWriter>, detectors: Arc<str>) -> Self {
        Self { pool, writer, detectors: RefCell::new(detectors), writes: Cell::new(false) }
    }

    /// Wants another configuration from now on.
    pub(super) fn replace(self: &Rc<Self>, detectors: Arc<str>) {
        self.detectors.replace(detectors);
        self.announce();
    }

    /// This node writes the log from now on, or does not any more.
    pub(super) fn set_writes(self: &Rc<Self>, writes: bool) {
        if !self.writes.replace(writes) && writes {
            self.announce();
        }
    }

    /// Tells the partitions that were told otherwise last, and tries until it is done. Readings do not wait for it.
    fn announce(self: &Rc<Self>) {
        let this = Rc::clone(self);
        actix_rt::spawn(async move {
            while this.writes.get() {
                let detectors = Arc::clone(&this.detectors.borrow());
                match partitions_configured_otherwise(&this.pool, &detectors).await {
                    Ok(partitions) if partitions.is_empty() => return,
                    Ok(partitions) => {
                        tracing::info!(
                            partitions = partitions.len(),
                            "the configuration of detectors goes into the log"
                        );
                        if this.writer.send(Announce { partitions, detectors }).await.is_ok() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the configuration of detectors cannot be compared; trying again");
                    }
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
    }
}
