//! The history that a restore needs: the checkpoint of a sensor, its rows page by page, and its
//! labels.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use thicket_detector::NamedConfig;
use thicket_protocol::checkpoint::is_ahead;
use thicket_schema::{Checkpoint, SensorId};
use thicket_store::postgres::{
    Applied, CheckpointFacts, DetectorReset, FieldSets, PostgresPool, RowPage, StoreError, StoredReading,
    applied_labels, newest_of_others, rows_after, rows_up_to, stored_configs,
};
use thicket_store::redis::{CheckpointStore, RedisError, StoredCheckpoint};

use super::write::Writing;
use crate::messages::{History, HistoryPage, Load};
use crate::metrics::Metrics;

/// A detector of a new shape learns from this many stored rows for each point that its forest
/// holds.
pub const REBUILD_PER_POINT: usize = 4;
/// Maximum number of rows in a page of a restore. With the default profile and one field, a page
/// takes about 33 ms to replay. A page of 64 fields takes about two megabytes of memory.
pub(super) const ROWS_PER_PAGE: usize = 2_500;

/// Rows that were read before. Such rows never change.
#[derive(Default)]
pub(super) struct TableCache {
    pub(super) field_sets: FieldSets,
    configs: RefCell<BTreeMap<u64, Arc<NamedConfig>>>,
}

impl TableCache {
    /// Returns the stored configurations, at least those that the rows refer to. Reads them again
    /// if one of these is missing in the cache.
    async fn configs(
        &self,
        pool: &PostgresPool,
        rows: &[StoredReading],
    ) -> Result<BTreeMap<u64, Arc<NamedConfig>>, StoreError> {
        let is_missing = |id| !self.configs.borrow().contains_key(&id);
        if rows.iter().filter_map(|row| row.config).any(is_missing) {
            return self.all_configs(pool).await;
        }
        Ok(self.configs.borrow().clone())
    }

    /// Reads all stored configurations.
    async fn all_configs(&self, pool: &PostgresPool) -> Result<BTreeMap<u64, Arc<NamedConfig>>, StoreError> {
        let configs = stored_configs(pool).await?;
        self.configs.replace(configs.clone());
        Ok(configs)
    }
}

/// Why the history of a sensor was not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Rows(#[from] StoreError),
}

/// Reads the rows of sensors, page by page.
pub(super) struct Rows {
    pool: PostgresPool,
    cache: Rc<TableCache>,
    limit: usize,
}

impl Rows {
    /// Creates a reader of pages of at most `limit` rows.
    pub(super) const fn new(pool: PostgresPool, cache: Rc<TableCache>, limit: usize) -> Self {
        Self { pool, cache, limit }
    }

    /// Returns the page after a row, without its credit, for a detector of a shape.
    pub(super) async fn next(
        &self,
        sensor: SensorId,
        after: Applied,
        shape: u64,
    ) -> Result<HistoryPage, StoreError> {
        let RowPage { rows, more_after } = self.page(sensor, Some(after)).await?;
        let configs = self.cache.configs(&self.pool, &rows).await?;
        let is_reshaped = !are_of_shape(&rows, &configs, shape);
        Ok(HistoryPage { rows, more_after, configs, is_reshaped, ..HistoryPage::default() })
    }

    async fn page(&self, sensor: SensorId, after: Option<Applied>) -> Result<RowPage, StoreError> {
        rows_after(&self.pool, sensor, after, self.limit, &self.cache.field_sets).await
    }

    /// Returns the first page. If a scored row follows, it has one: the settings of the first
    /// scored row decide how a detector begins.
    async fn first_page(&self, sensor: SensorId, after: Option<Applied>) -> Result<RowPage, StoreError> {
        let mut first = self.page(sensor, after).await?;
        while first.more_after.is_some() && first.rows.iter().all(|row| row.config.is_none()) {
            let next = self.page(sensor, first.more_after).await?;
            first.rows.extend(next.rows);
            first.more_after = next.more_after;
        }
        Ok(first)
    }
}

/// Returns whether all rows were scored by detectors of a shape.
fn are_of_shape(rows: &[StoredReading], configs: &BTreeMap<u64, Arc<NamedConfig>>, shape: u64) -> bool {
    let is_of_shape = |id: u64| configs.get(&id).is_some_and(|then| then.fingerprint == shape);
    rows.iter().filter_map(|row| row.config).all(is_of_shape)
}

/// Loads the first page of a sensor's history. `waiting` is a checkpoint of it that is not written
/// yet.
pub(super) async fn load_history(
    checkpoints: &Checkpoints,
    rows: &Rows,
    load: &Load,
    waiting: Option<Checkpoint>,
) -> Result<History, LoadError> {
    let (sensor, pool, shape) = (load.sensor.id(), &rows.pool, load.config.fingerprint);
    let facts = CheckpointFacts::load(pool, sensor).await?;
    let reset = facts.reset;
    let checkpoint = checkpoints.load_valid(load, waiting, facts.newest_seq).await?;
    // A checkpoint from before the detector began again is of no use.
    let checkpoint = checkpoint.filter(|checkpoint| reset.is_none_or(|reset| checkpoint.seq > reset.seq));
    let saved = checkpoint.as_ref().and_then(|checkpoint| Some((checkpoint.era, checkpoint.newest?)));
    let begin = reset.as_ref().map(DetectorReset::place);
    let after = saved.or(begin);
    let time = facts.time;
    let first = match time.highest {
        Some(_) if !load.is_reshaped => rows.first_page(sensor, after).await?,
        _ => RowPage::default(),
    };
    let configs = rows.cache.configs(pool, &first.rows).await?;
    let labels = if facts.has_labels { applied_labels(pool, sensor).await? } else { Vec::new() };
    let fits = !load.is_reshaped
        && checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.config == shape)
        && are_of_shape(&first.rows, &configs, shape);
    let history = |RowPage { rows: replay, more_after }| History {
        replay,
        more_after,
        labels,
        reset,
        time,
        ..History::default()
    };
    if fits {
        return Ok(History { checkpoint, configs, ..history(first) });
    }
    // The shape has changed. The detector learns from the rows of the old shape, as the first
    // detector of the new shape did.
    let configs = rows.cache.all_configs(pool).await?;
    let of_this_shape = configs.iter().filter(|(_, config)| config.fingerprint == shape);
    let alike: Vec<u64> = of_this_shape.map(|(&id, _)| id).collect();
    let changed = newest_of_others(pool, sensor, &alike, None).await?;
    let Some(changed) = changed.filter(|&changed| begin.is_none_or(|begin| changed > begin)) else {
        return Ok(History { configs, ..history(rows.first_page(sensor, begin).await?) });
    };
    let most = REBUILD_PER_POINT * load.config.config.shape().points;
    let mut rebuild_from = rows_up_to(pool, sensor, changed, most).await?;
    rebuild_from.retain(|row| begin.is_none_or(|begin| (row.era, row.ts) > begin));
    let after = rows.first_page(sensor, Some(changed)).await?;
    Ok(History { rebuild_from, configs, reshaped: Some(changed.1), ..history(after) })
}

/// The stored checkpoints.
pub(super) struct Checkpoints {
    pub(super) store: CheckpointStore,
    pub(super) metrics: Metrics,
    /// The checkpoints that are being written.
    pub(super) writing: Rc<Writing>,
}

impl Checkpoints {
    /// Returns the sensor's checkpoint, `None` if there is none that may be used. An unusable
    /// checkpoint is counted and deleted.
    ///
    /// `newest_seq` is the seq of the sensor's newest scored row: no valid checkpoint is ahead of it.
    async fn load_valid(
        &self,
        load: &Load,
        waiting: Option<Checkpoint>,
        newest_seq: Option<u64>,
    ) -> Result<Option<Checkpoint>, LoadError> {
        let found = match waiting {
            Some(checkpoint) => StoredCheckpoint::Readable(checkpoint),
            None => self.store.load(load.partition, &load.sensor).await?,
        };
        match found {
            StoredCheckpoint::Missing => return Ok(None),
            StoredCheckpoint::Readable(checkpoint)
                if load.use_checkpoint && !is_ahead(checkpoint.seq, newest_seq) =>
            {
                return Ok(Some(checkpoint));
            }
            StoredCheckpoint::Readable(checkpoint) if load.use_checkpoint => {
                let seq = checkpoint.seq;
                tracing::error!(sensor = %load.sensor, seq, "the checkpoint is ahead of the stored rows; rebuilding the detector from its rows");
            }
            // The reason is logged: by the shard that must not use it, or by the store that cannot read
            // it.
            StoredCheckpoint::Readable(_) | StoredCheckpoint::Unreadable => {}
        }
        self.metrics.checkpoints_rejected.inc();
        // A write that ends later would bring the checkpoint back.
        self.writing.wait_for(&load.sensor).await;
        self.store.delete(load.partition, &load.sensor).await?;
        Ok(None)
    }
}
