//! What the tasks of the notifier share.

use std::sync::Arc;
use std::time::Duration;

use thicket_actors::metrics::Metrics;
use thicket_store::postgres::{PooledConnection, PostgresPool, StoreError};
use thicket_store::redis::NodeName;

use crate::route::Route;

/// What the tasks share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) routes: Arc<[Route]>,
    pub(crate) deployment: Arc<str>,
    pub(crate) node: NodeName,
    pub(crate) keep: Duration,
    pub(crate) max_waiting: u64,
    pub(crate) pool: PostgresPool,
    pub(crate) metrics: Metrics,
}

impl Shared {
    pub(crate) async fn connection(&self) -> Result<PooledConnection, StoreError> {
        Ok(self.pool.get().await?)
    }
}
