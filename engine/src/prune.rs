//! Deletes rows that are too old or too many: dead letters, anomalies, the quarantine, and rows to
//! which no other row refers. Asks to forget the sensors that are gone for longer than
//! `sensors.keep`, and finishes the requests of commands that ended before they had deleted all
//! rows of a sensor. Every node tries. The deletions of dead letters and readings also count in the
//! ledger, so that it balances.

use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use thicket_actors::metrics::Metrics;
use thicket_store::complaints;
use thicket_store::postgres::{
    KeptRows, PostgresConnection, PostgresServer, connect_postgres, expire_anomalies, expire_changes,
    expire_configs, expire_dead_letters, expire_field_sets, expire_losses, expire_quarantine,
    expire_requests, finish_left_over, request_forgetting,
};

use crate::config::Config;

const INTERVAL: Duration = Duration::from_mins(1);
/// Time between two looks at the tables that grow slowly.
const SLOW_INTERVAL: Duration = Duration::from_hours(1);
/// How long one look may take. The next one goes on.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Age of a request to forget a sensor at which its command has ended or hangs.
const LEFT_OVER: Duration = Duration::from_mins(10);

/// Deletes rows of one database.
struct Pruner {
    server: PostgresServer,
    dead_letters_keep: Option<Duration>,
    dead_letters_max: u64,
    sensors_keep: Option<Duration>,
    rows: KeptRows,
    metrics: Metrics,
}

/// Looks at once and then every minute.
pub(crate) fn start(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let pruner = Pruner {
        server: config.postgres.server(),
        dead_letters_keep: limit(config.dead_letters.keep),
        dead_letters_max: config.dead_letters.max_rows,
        sensors_keep: limit(config.sensors.keep),
        rows: KeptRows {
            anomalies: limit(config.anomalies.keep),
            labelled: limit(config.anomalies.keep_labelled),
            quarantine: limit(config.quarantine.keep),
            quarantine_rows: config.quarantine.max_rows,
        },
        metrics: metrics.clone(),
    };
    actix_rt::spawn(async move {
        let mut last_slow: Option<Instant> = None;
        loop {
            let pruned = tokio::time::timeout(TIMEOUT, pruner.prune(&mut last_slow)).await;
            report("delete old rows", pruned.unwrap_or_else(|elapsed| Err(elapsed.into())));
            tokio::time::sleep(INTERVAL).await;
        }
    })
}

/// Logs the error of a step, but not each time that it repeats.
fn report(step: &'static str, outcome: anyhow::Result<()>) {
    if let Err(error) = outcome
        && let Some(repeated) = complaints::due(step, &error)
    {
        let error = format!("{error:#}");
        tracing::warn!(error, repeated, step, "old rows cannot be deleted; trying again");
    }
}

/// Returns the limit of a setting that is 0 without a limit.
fn limit(keep: Duration) -> Option<Duration> {
    (!keep.is_zero()).then_some(keep)
}

impl Pruner {
    /// Takes every step, also after one that fails. `last_slow` is when the slow tables were last
    /// pruned.
    async fn prune(&self, last_slow: &mut Option<Instant>) -> anyhow::Result<()> {
        let mut postgres = connect_postgres(&self.server).await?;
        report("delete dead letters", self.prune_dead_letters(&mut postgres).await);
        report("forget sensors", self.forget_sensors(&mut postgres).await);
        if last_slow.is_none_or(|last| last.elapsed() >= SLOW_INTERVAL) {
            let pruned = self.prune_slow_tables(&mut postgres).await;
            if pruned.is_ok() {
                *last_slow = Some(Instant::now());
            }
            report("delete rows of slow tables", pruned);
        }
        Ok(())
    }

    async fn forget_sensors(&self, postgres: &mut PostgresConnection) -> anyhow::Result<()> {
        let finished = finish_left_over(postgres, LEFT_OVER).await?;
        if finished > 0 {
            tracing::info!(
                sensors = finished,
                "deleted the rows of sensors whose `thicket sensors forget` did not end"
            );
        }
        let Some(keep) = self.sensors_keep else { return Ok(()) };
        let gone = request_forgetting(postgres, keep).await?;
        if gone > 0 {
            tracing::info!(
                sensors = gone,
                "sensors without rows are silent for longer than sensors.keep; they are forgotten"
            );
        }
        Ok(())
    }

    async fn prune_dead_letters(&self, postgres: &mut PostgresConnection) -> anyhow::Result<()> {
        let mut all = 0;
        loop {
            let deleted =
                expire_dead_letters(postgres, self.dead_letters_keep, self.dead_letters_max).await?;
            self.metrics.dead_letters_expired.inc_by(deleted);
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
        Ok(())
    }

    /// Deletes from the tables that grow slowly.
    async fn prune_slow_tables(&self, postgres: &mut PostgresConnection) -> anyhow::Result<()> {
        let deleted = [
            ("anomalies", expire_anomalies(postgres, &self.rows).await?),
            ("quarantine", expire_quarantine(postgres, &self.rows).await?),
            ("log_losses", expire_losses(postgres, &self.rows).await?),
            ("sensor_requests", expire_requests(postgres).await?),
            ("clock_changes", expire_changes(postgres).await?),
            ("configs", expire_configs(postgres).await?),
            ("field_sets", expire_field_sets(postgres).await?),
        ];
        for (table, rows) in deleted.into_iter().filter(|&(_, rows)| rows > 0) {
            self.metrics.rows_expired.with_label_values(&[table]).inc_by(rows);
            tracing::info!(table, rows, "deleted rows that are too old, too many or unused");
        }
        Ok(())
    }
}
