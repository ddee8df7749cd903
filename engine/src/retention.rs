//! Retention: whole days of readings go when they are older than `postgres.retention`. Anomalies and dead letters stay.
//!
//! The rows of a day leave together with a count of them in the ledger, in one transaction. Between checkpoints the rows are the log, so a
//! day is kept as long as a detector would need it to come back. Every node tries; a lock in PostgreSQL lets one at a time do it, and goes
//! with the connection of a node that dies.

mod day;

use std::time::Duration;

use actix_rt::task::JoinHandle;
use diesel::sql_types::Bool;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use fred::clients::Client;
use thicket_actors::metrics::Metrics;
use thicket_actors::queue::connect_redis;
use thicket_actors::writer::connect_postgres;
use thicket_schema::Keys;

use crate::config::Config;
use crate::format::count;
use day::{Day, Fate};

/// Between two looks.
const PERIOD: Duration = Duration::from_hours(1);
/// Between two looks while something stands in the way.
const PERIOD_IN_TROUBLE: Duration = Duration::from_mins(5);
/// How much longer a day stays than it must: what came in just in time is stored by then.
const GRACE: Duration = Duration::from_hours(1);
/// Tries to get the locks that a day's end needs, while others read and write.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// What a look does.
struct Keeper {
    url: String,
    retention: Duration,
    redis: Client,
    keys: Keys,
    metrics: Metrics,
}

/// Looks at once and then every hour, if there is a retention at all.
pub(crate) fn start(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<JoinHandle<()>>> {
    let retention = config.postgres.retention;
    if retention.is_zero() {
        return Ok(None);
    }
    let keys = Keys::new(&config.redis.prefix)?;
    let (redis, url, metrics) = (config.redis.url.clone(), config.postgres.url.clone(), metrics.clone());
    Ok(Some(actix_rt::spawn(async move {
        let redis = connect_redis(&redis).await;
        let keeper = Keeper { url, retention, redis, keys, metrics };
        loop {
            let period = match keeper.look().await {
                Ok(true) => PERIOD,
                Ok(false) => PERIOD_IN_TROUBLE,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "retention has to wait");
                    PERIOD_IN_TROUBLE
                }
            };
            tokio::time::sleep(period).await;
        }
    })))
}

impl Keeper {
    /// Drops what may go; whether all of it could.
    async fn look(&self) -> anyhow::Result<bool> {
        let mut postgres = connect_postgres(&self.url).await?;
        // Counting a day of readings may take long.
        postgres.batch_execute("SET statement_timeout = '1h'").await?;
        if !is_ours(&mut postgres).await? {
            self.metrics.retention_days_kept.set(0);
            return Ok(true);
        }
        let (mut kept, mut is_free) = (0, true);
        for day in day::expired(&mut postgres, self.retention + GRACE).await? {
            match self.end(&mut postgres, &day).await {
                Ok(Fate::Dropped(rows)) => {
                    tracing::info!(day = %day.name, rows, "a day of readings is older than postgres.retention and is dropped");
                    self.metrics.readings_expired.inc_by(rows.cast_unsigned());
                }
                Ok(Fate::Kept { waiting }) => {
                    kept += 1;
                    tracing::warn!(
                        day = %day.name, sensors = waiting,
                        "a day of readings is older than postgres.retention, but kept: {} would not come back without it, having no checkpoint since",
                        count(waiting as u64, "sensor")
                    );
                }
                Err(error) => {
                    is_free = false;
                    tracing::warn!(day = %day.name, error = format!("{error:#}"), "a day of readings cannot be dropped yet");
                }
            }
        }
        self.metrics.retention_days_kept.set(kept);
        Ok(is_free && kept == 0)
    }

    async fn end(&self, postgres: &mut AsyncPgConnection, day: &Day) -> anyhow::Result<Fate> {
        let mut attempt = 1;
        loop {
            match day.end(postgres, &self.redis, &self.keys).await {
                Err(error) if error.is_lock_timeout() && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

/// Whether no other node is at it. The lock is the connection's.
async fn is_ours(postgres: &mut AsyncPgConnection) -> diesel::QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Lock {
        #[diesel(sql_type = Bool)]
        is_ours: bool,
    }
    let lock: Lock = sql_query("SELECT pg_try_advisory_lock(hashtext('thicket.retention')) AS is_ours")
        .get_result(postgres)
        .await?;
    Ok(lock.is_ours)
}
