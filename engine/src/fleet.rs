//! Counts for alerts, once a minute: sensors that fell silent, anomalies that go on, and the size of
//! the database. Every node shows those of the whole deployment.

use std::time::Duration;

use actix_rt::task::JoinHandle;
use thicket_actors::metrics::Metrics;
use thicket_store::complaints;
use thicket_store::postgres::{
    SensorActivity, connect_postgres, count_open_anomalies, database_bytes, sensor_activity,
};

use crate::config::Config;

const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// How long to wait for PostgreSQL.
const POLL_TIMEOUT: Duration = Duration::from_mins(1);

/// Polls at once and then every minute. While PostgreSQL does not answer, the gauges keep their last
/// values.
pub(crate) fn watch(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let (config, metrics) = (config.clone(), metrics.clone());
    actix_rt::spawn(async move {
        loop {
            let polled = tokio::time::timeout(POLL_TIMEOUT, poll(&config, &metrics)).await;
            if let Err(error) = polled.unwrap_or_else(|elapsed| Err(elapsed.into()))
                && complaints::due("count the fleet", &error).is_some()
            {
                tracing::warn!(error = format!("{error:#}"), "sensors and anomalies are not counted");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
}

async fn poll(config: &Config, metrics: &Metrics) -> anyhow::Result<()> {
    let mut postgres = connect_postgres(config.postgres.server()).await?;
    let SensorActivity { known, reporting, silent } = sensor_activity(&mut postgres).await?;
    for (state, sensors) in [("known", known), ("reporting", reporting), ("silent", silent)] {
        metrics.sensors.with_label_values(&[state]).set(sensors);
    }
    metrics.anomalies_open.set(count_open_anomalies(&mut postgres).await?);
    metrics.postgres_bytes.set(database_bytes(&mut postgres).await?);
    Ok(())
}
