//! Deletes dead letters that are older than `dead_letters.keep`, or more than `dead_letters.max_rows`,
//! lets sensors be forgotten that are gone for longer than `sensors.keep`, and finishes the requests of
//! commands that ended before they had deleted all rows of a sensor. Every node tries. Each
//! deletion also counts in the ledger, so that it balances.

use std::time::Duration;

use actix_rt::task::JoinHandle;
use thicket_actors::metrics::Metrics;
use thicket_store::complaints;
use thicket_store::postgres::{
    PostgresServer, connect_postgres, expire_dead_letters, finish_left_over, request_forgetting,
};

use crate::config::{Config, DeadLettersConfig, SensorsConfig};

const INTERVAL: Duration = Duration::from_mins(1);
/// How long one look may take. The next one goes on.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Age of a request to forget a sensor at which its command has ended or hangs.
const LEFT_OVER: Duration = Duration::from_mins(10);

/// Looks at once and then every minute.
pub(crate) fn start(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let (server, metrics) = (config.postgres.server(), metrics.clone());
    let (limits, sensors) = (config.dead_letters, config.sensors);
    actix_rt::spawn(async move {
        loop {
            let pruned = tokio::time::timeout(TIMEOUT, prune(&server, limits, sensors, &metrics)).await;
            if let Err(error) = pruned.unwrap_or_else(|elapsed| Err(elapsed.into()))
                && let Some(repeated) = complaints::due("delete old dead letters", &error)
            {
                tracing::warn!(
                    error = format!("{error:#}"),
                    repeated,
                    "old dead letters cannot be deleted; trying again"
                );
            }
            tokio::time::sleep(INTERVAL).await;
        }
    })
}

async fn prune(
    server: &PostgresServer,
    limits: DeadLettersConfig,
    sensors: SensorsConfig,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let mut postgres = connect_postgres(server).await?;
    let keep = (!limits.keep.is_zero()).then_some(limits.keep);
    let mut all = 0;
    loop {
        let deleted = expire_dead_letters(&mut postgres, keep, limits.max_rows).await?;
        metrics.dead_letters_expired.inc_by(deleted);
        all += deleted;
        if deleted == 0 {
            break;
        }
    }
    if all > 0 {
        tracing::info!(
            dead_letters = all,
            "deleted dead letters beyond dead_letters.keep or dead_letters.max_rows"
        );
    }
    let finished = finish_left_over(&mut postgres, LEFT_OVER).await?;
    if finished > 0 {
        tracing::info!(
            sensors = finished,
            "deleted the rows of sensors whose `thicket sensors forget` did not end"
        );
    }
    if !sensors.keep.is_zero() {
        let gone = request_forgetting(&mut postgres, sensors.keep).await?;
        if gone > 0 {
            tracing::info!(
                sensors = gone,
                "sensors without rows are silent for longer than sensors.keep; they are forgotten"
            );
        }
    }
    Ok(())
}
