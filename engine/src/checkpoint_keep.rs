//! Deletes the checkpoints of sensors that are gone, once an hour: those that have been silent for
//! longer than `checkpoint.keep`, and those that were forgotten.
//!
//! Every node does it. A deleted checkpoint costs the replay of the sensor's rows when it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use chrono::Utc;
use thicket_actors::metrics::Metrics;
use thicket_schema::{Keys, PartitionId};
use thicket_store::complaints;
use thicket_store::postgres::{PostgresConnection, connect_postgres, gone_sensors};
use thicket_store::redis::{CheckpointStore, ListedCheckpoint, connect_redis};

use crate::config::Config;

const POLL_INTERVAL: Duration = Duration::from_hours(1);
/// How long one poll may take.
const POLL_TIMEOUT: Duration = Duration::from_mins(10);
/// Names in one question to PostgreSQL.
const PAGE: usize = 1_000;
/// Days that a checkpoint stays after the last rows of its sensor have been dropped.
const GRACE_DAYS: i32 = 3;
const SECONDS_PER_DAY: u64 = 86_400;

/// How many days checkpoints are kept; `None` means without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keep {
    /// Those that rows can replace.
    replaceable: Option<i32>,
    /// Those that contain dropped rows.
    pinned: Option<i32>,
}

impl Keep {
    fn of(config: &Config) -> Self {
        let days = |duration: Duration| {
            let days = i32::try_from(duration.as_secs().div_ceil(SECONDS_PER_DAY)).unwrap_or(i32::MAX / 2);
            (days > 0).then_some(days)
        };
        let (keep, retention) = (days(config.checkpoint.keep), days(config.postgres.retention));
        let pinned = keep.zip(retention).map(|(keep, retention)| keep.max(retention) + GRACE_DAYS);
        Self { replaceable: keep, pinned }
    }

    /// Returns the days that a checkpoint is kept. Its own age counts too: the times of a sensor's
    /// readings may lie in the past while it sends.
    fn days_of(self, checkpoint: &ListedCheckpoint, today: f64) -> Option<i32> {
        let Some(saved) = checkpoint.saved_days() else { return self.pinned };
        self.replaceable.filter(|&days| today - saved > f64::from(days))
    }
}

/// Polls at once and then every hour.
pub(crate) fn watch(config: &Config, metrics: &Metrics) -> anyhow::Result<JoinHandle<()>> {
    let keys = Keys::new(&config.redis.prefix)?;
    let (config, metrics) = (config.clone(), metrics.clone());
    Ok(actix_rt::spawn(async move {
        let store = CheckpointStore::new(connect_redis(config.redis.server()).await, keys);
        loop {
            let polled = tokio::time::timeout(POLL_TIMEOUT, poll(&config, &store, &metrics)).await;
            if let Err(error) = polled.unwrap_or_else(|elapsed| Err(elapsed.into()))
                && complaints::due("delete old checkpoints", &error).is_some()
            {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "cannot delete the checkpoints of sensors that are gone"
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }))
}

async fn poll(config: &Config, store: &CheckpointStore, metrics: &Metrics) -> anyhow::Result<()> {
    let keep = Keep::of(config);
    let today = Utc::now().timestamp() as f64 / SECONDS_PER_DAY as f64;
    let mut postgres = connect_postgres(config.postgres.server()).await?;
    let mut deleted = 0_u64;
    for partition in (0..config.queue.partitions).map(PartitionId) {
        for page in store.all(partition).await?.chunks(PAGE) {
            for checkpoint in gone(&mut postgres, page, keep, today).await? {
                store.delete(checkpoint.partition, &checkpoint.sensor).await?;
                deleted += 1;
            }
        }
    }
    metrics.checkpoints_deleted.inc_by(deleted);
    if deleted > 0 {
        tracing::info!(deleted, "checkpoints of sensors that are gone are deleted");
    }
    Ok(())
}

/// Returns the checkpoints whose sensors are gone.
async fn gone<'c>(
    postgres: &mut PostgresConnection,
    checkpoints: &'c [ListedCheckpoint],
    keep: Keep,
    today: f64,
) -> anyhow::Result<Vec<&'c ListedCheckpoint>> {
    let mut by_days: BTreeMap<Option<i32>, Vec<&ListedCheckpoint>> = BTreeMap::new();
    for checkpoint in checkpoints {
        by_days.entry(keep.days_of(checkpoint, today)).or_default().push(checkpoint);
    }
    let mut all_gone = Vec::new();
    for (days, checkpoints) in by_days {
        let names: Vec<&str> = checkpoints.iter().map(|checkpoint| checkpoint.sensor.as_str()).collect();
        let gone: BTreeSet<String> = gone_sensors(postgres, &names, days).await?.into_iter().collect();
        all_gone
            .extend(checkpoints.into_iter().filter(|checkpoint| gone.contains(checkpoint.sensor.as_str())));
    }
    Ok(all_gone)
}

#[cfg(test)]
mod tests {
    use thicket_schema::SensorName;

    use super::*;

    #[test]
    fn a_checkpoint_that_rows_cannot_replace_is_kept_for_the_retention() {
        let keep = Keep { replaceable: Some(30), pinned: Some(403) };
        let saved = |worth| ListedCheckpoint {
            partition: PartitionId(0),
            sensor: SensorName::new("a").unwrap(),
            worth,
            memory: 1,
            seq: 1_024,
        };
        let at = |days: f64| 10.0 + days;
        let today = 20_000.0;
        assert_eq!(keep.days_of(&saved(at(today - 31.0)), today), Some(30));
        assert_eq!(keep.days_of(&saved(at(today - 29.0)), today), None, "it was saved lately");
        assert_eq!(keep.days_of(&saved(f64::INFINITY), today), Some(403));
        let without = Keep { replaceable: None, pinned: None };
        assert_eq!(without.days_of(&saved(at(0.0)), today), None);
    }
}
