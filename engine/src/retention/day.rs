//! The end of one day of readings.

use std::time::Duration;

use thicket_schema::{Keys, PartitionId, SensorId, SensorName, SensorNameError};
use thicket_store::postgres::{
    DayOutcome, DayTable, NewestRow, PostgresConnection, QueryError, RowsWithoutSensor, drop_day,
    is_lock_timeout, request_saves,
};
use thicket_store::redis::{CheckpointStore, Client, RedisError, checkpoint_seqs};

/// How long Redis may take to return the seqs of the checkpoints.
const REDIS_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a day cannot be dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum DayError {
    #[error("postgresql: {0}")]
    Database(#[from] QueryError),
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error("redis does not return the seqs of the checkpoints in time")]
    NoAnswer,
    #[error("{0} of its rows have no sensor, so no ledger could count them; `thicket reconcile` shows more")]
    NoSensor(i64),
    #[error("a stored sensor name is invalid: {0}")]
    Name(#[from] SensorNameError),
}

impl From<RowsWithoutSensor> for DayError {
    fn from(RowsWithoutSensor(rows): RowsWithoutSensor) -> Self {
        Self::NoSensor(rows)
    }
}

impl DayError {
    /// Whether another session held a lock that was needed.
    pub(super) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Database(error) if is_lock_timeout(error))
    }
}

/// Drops a day and moves its rows to the ledger's expired rows, unless a detector still needs them.
/// Then requests that the owners of such detectors save their checkpoints.
pub(super) async fn drop_unneeded_day(
    postgres: &mut PostgresConnection,
    day: &DayTable,
    checkpoints: &Checkpoints,
) -> Result<DayOutcome, DayError> {
    let mut waiting = Vec::new();
    let found = &mut waiting;
    let outcome = drop_day(postgres, day, async move |newest| {
        *found = checkpoints.waiting(newest).await?;
        Ok::<_, DayError>(found.len())
    })
    .await?;
    let sensors: Vec<SensorId> =
        waiting.iter().filter_map(|name| Some(SensorName::new(name).ok()?.id())).collect();
    if !sensors.is_empty() {
        request_saves(postgres, &sensors).await?;
    }
    Ok(outcome)
}

/// The checkpoints of all detectors.
pub(super) struct Checkpoints {
    pub(super) redis: Client,
    pub(super) keys: Keys,
}

impl Checkpoints {
    /// Returns the sensors whose detectors could not be restored without a day: they have no
    /// checkpoint that includes its newest row. If there is none, all these checkpoints are
    /// excluded from eviction: they are all that is left of the day.
    async fn waiting(&self, newest: Vec<NewestRow>) -> Result<Vec<String>, DayError> {
        // The day is locked meanwhile, so this must not wait for a Redis that does not answer.
        tokio::time::timeout(REDIS_TIMEOUT, self.find(newest)).await.map_err(|_| DayError::NoAnswer)?
    }

    async fn find(&self, newest: Vec<NewestRow>) -> Result<Vec<String>, DayError> {
        let sensors: Vec<(PartitionId, SensorName)> = newest
            .iter()
            .map(|row| Ok((PartitionId(row.partition as u16), SensorName::new(&row.name)?)))
            .collect::<Result<_, SensorNameError>>()?;
        let saved = checkpoint_seqs(&self.redis, &self.keys, &sensors).await?;
        let waits = |(row, saved): &(&NewestRow, Option<i64>)| saved.is_none_or(|saved| saved < row.seq);
        let name = |row: &NewestRow| row.name.clone();
        let waiting: Vec<String> = newest.iter().zip(saved).filter(waits).map(|(row, _)| name(row)).collect();
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        let seqs = newest.iter().map(|row| row.seq);
        let pinned: Vec<_> = sensors
            .into_iter()
            .zip(seqs)
            .map(|((partition, sensor), seq)| (partition, sensor, seq))
            .collect();
        let store = CheckpointStore::new(self.redis.clone(), self.keys.clone());
        let pinned = store.pin(&pinned).await?;
        Ok(newest.iter().zip(pinned).filter(|(_, is_pinned)| !is_pinned).map(|(row, _)| name(row)).collect())
    }
}
