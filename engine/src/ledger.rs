//! The ledger as metrics, so that an alert can tell whether it balances. Every node shows the
//! ledger of the whole deployment.

use std::time::Duration;

use actix_rt::task::JoinHandle;
use thicket_actors::metrics::Metrics;
use thicket_schema::postgres::Ledger;
use thicket_store::postgres::{
    PartitionLedger, PostgresConnection, PostgresServer, connect_postgres, partition_ledgers,
};

use crate::config::Config;

const POLL_INTERVAL: Duration = Duration::from_secs(15);
/// How long to wait for PostgreSQL. Then the next poll connects again.
const POLL_TIMEOUT: Duration = Duration::from_mins(1);

/// Sets the gauges until the engine ends. While PostgreSQL does not answer, they keep their last
/// values.
pub(crate) fn watch(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let (server, metrics) = (config.postgres.server(), metrics.clone());
    actix_rt::spawn(async move {
        let mut connection = None;
        loop {
            let polled = tokio::time::timeout(POLL_TIMEOUT, poll(connection, &server, &metrics)).await;
            connection = polled.unwrap_or_default();
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
}

/// Reads the ledger once. Returns the connection if it can be used again.
async fn poll(
    connection: Option<PostgresConnection>,
    server: &PostgresServer,
    metrics: &Metrics,
) -> Option<PostgresConnection> {
    let mut postgres = match connection {
        Some(postgres) => postgres,
        None => connect_postgres(server).await.ok()?,
    };
    match partition_ledgers(&mut postgres).await {
        Ok(partitions) => {
            set_gauges(&partitions, metrics);
            Some(postgres)
        }
        Err(error) => {
            tracing::debug!(%error, "the ledger cannot be read");
            None
        }
    }
}

fn set_gauges(partitions: &[PartitionLedger], metrics: &Metrics) {
    let total: Ledger = partitions.iter().map(|partition| partition.ledger).sum();
    // Absolute values: differences that cancel each other out are no balance.
    let unaccounted = partitions.iter().map(|partition| partition.ledger.unaccounted().abs()).sum();
    for (outcome, records) in [
        ("delivered", total.delivered),
        ("scored", total.scored),
        ("unscored", total.unscored),
        ("poison", total.poison),
        ("late", total.late),
        ("duplicate", total.duplicates),
        ("dead_letter", total.dead_letters),
        ("expired", total.expired),
        ("unaccounted", unaccounted),
    ] {
        metrics.ledger_records.with_label_values(&[outcome]).set(records);
    }
}
