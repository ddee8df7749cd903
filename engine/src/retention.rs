//! Retention: whole days of readings are dropped when they are older than `postgres.retention`.
//! Anomalies are kept, and `prune` deletes dead letters.
//!
//! The rows of a day are dropped and added to the ledger's expired rows in one transaction. Between
//! two checkpoints, the rows are the only log of a detector. So a day is kept as long as a detector
//! needs it for its restore. Every node tries; an advisory lock in PostgreSQL admits one node at a
//! time, and is released with the connection of a node that dies.

mod day;

use std::time::Duration;

use actix_rt::task::JoinHandle;
use anyhow::Context as _;
use thicket_actors::metrics::Metrics;
use thicket_schema::Keys;
use thicket_store::postgres::{
    DayOutcome, DayTable, PostgresConnection, PostgresServer, begin_retention, connect_postgres,
    days_older_than,
};
use thicket_store::redis::connect_redis;

use crate::config::Config;
use crate::format::count;
use day::{Checkpoints, drop_unneeded_day};

const POLL_INTERVAL: Duration = Duration::from_hours(1);
/// How long one poll may take: PostgreSQL may take an hour to count the rows of a day.
const POLL_TIMEOUT: Duration = Duration::from_hours(6);
/// The interval while a day cannot be dropped.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);
/// How long a day is kept beyond its retention. A reading that arrives just in time is stored by
/// then.
const GRACE: Duration = Duration::from_hours(1);
/// Attempts to get the locks for dropping a day, while other sessions read and write.
const ATTEMPTS: u32 = 10;
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// What dropping days needs.
struct Retention {
    database: PostgresServer,
    /// `postgres.retention`.
    max_age: Duration,
    checkpoints: Checkpoints,
    metrics: Metrics,
}

/// Polls at once and then every hour. Returns `None` if readings are kept without a limit.
pub(crate) fn start(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<JoinHandle<()>>> {
    let max_age = config.postgres.retention;
    if max_age.is_zero() {
        return Ok(None);
    }
    let keys = Keys::new(&config.redis.prefix)?;
    let (redis, database, metrics) = (config.redis.server(), config.postgres.server(), metrics.clone());
    Ok(Some(actix_rt::spawn(async move {
        let checkpoints = Checkpoints { redis: connect_redis(redis).await, keys };
        let retention = Retention { database, max_age, checkpoints, metrics };
        loop {
            let polled = tokio::time::timeout(POLL_TIMEOUT, retention.poll()).await;
            let interval = match polled.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(true) => POLL_INTERVAL,
                Ok(false) => RETRY_INTERVAL,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "retention is postponed");
                    RETRY_INTERVAL
                }
            };
            tokio::time::sleep(interval).await;
        }
    })))
}

impl Retention {
    /// Drops the days that are past their retention. Returns whether all of them could be dropped.
    async fn poll(&self) -> anyhow::Result<bool> {
        let mut postgres = connect_postgres(&self.database).await?;
        if !begin_retention(&mut postgres).await? {
            self.metrics.retention_kept_partitions.set(0);
            return Ok(true);
        }
        let expired = days_older_than(&mut postgres, self.max_age + GRACE)
            .await
            .context("postgresql does not return the days of readings")?;
        let mut kept = 0;
        for day in expired {
            match self.drop_day(&mut postgres, &day).await {
                Ok(DayOutcome::Dropped(rows)) => {
                    tracing::info!(day = %day.name, rows, "a day of readings is older than postgres.retention and is dropped");
                    self.metrics.readings_expired.inc_by(rows.cast_unsigned());
                }
                Ok(DayOutcome::Kept { waiting }) => {
                    kept += 1;
                    tracing::warn!(
                        day = %day.name, sensors = waiting,
                        "a day of readings is older than postgres.retention, but kept: {} cannot be restored without it (no newer checkpoint)",
                        count(waiting as u64, "sensor")
                    );
                }
                Err(error) => {
                    kept += 1;
                    tracing::warn!(day = %day.name, error = format!("{error:#}"), "a day of readings cannot be dropped yet");
                }
            }
        }
        self.metrics.retention_kept_partitions.set(kept);
        Ok(kept == 0)
    }

    async fn drop_day(
        &self,
        postgres: &mut PostgresConnection,
        day: &DayTable,
    ) -> anyhow::Result<DayOutcome> {
        let mut attempt = 1;
        loop {
            match drop_unneeded_day(postgres, day, &self.checkpoints).await {
                Err(error) if error.is_lock_timeout() && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(ATTEMPT_INTERVAL).await;
                }
                done => return Ok(done?),
            }
        }
    }
}
