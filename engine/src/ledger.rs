//! The ledger as metrics, so that an alert can see whether it balances. Every node shows the whole deployment's.

use std::time::Duration;

use actix_rt::task::JoinHandle;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_actors::metrics::Metrics;
use thicket_actors::writer::connect_postgres;

use crate::config::Config;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(15);

/// The ledgers of all partitions together.
#[derive(Debug, QueryableByName)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    delivered: i64,
    #[diesel(sql_type = BigInt)]
    scored: i64,
    #[diesel(sql_type = BigInt)]
    poison: i64,
    #[diesel(sql_type = BigInt)]
    late: i64,
    #[diesel(sql_type = BigInt)]
    duplicates: i64,
    #[diesel(sql_type = BigInt)]
    dead_letters: i64,
    #[diesel(sql_type = BigInt)]
    expired: i64,
    /// Sums that cancel each other out are no balance.
    #[diesel(sql_type = BigInt)]
    unaccounted: i64,
}

/// Sets the gauges until the engine ends. While PostgreSQL is away they keep what it said last.
pub(crate) fn watch(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let (url, metrics) = (config.postgres.url.clone(), metrics.clone());
    actix_rt::spawn(async move {
        let mut session = None;
        loop {
            session = look(session, &url, &metrics).await;
            tokio::time::sleep(PERIOD).await;
        }
    })
}

/// Reads the ledger once; returns the connection if it can be used again.
async fn look(session: Option<AsyncPgConnection>, url: &str, metrics: &Metrics) -> Option<AsyncPgConnection> {
    let mut postgres = match session {
        Some(postgres) => postgres,
        None => connect_postgres(url).await.ok()?,
    };
    match sums(&mut postgres).await {
        Ok(sums) => {
            show(&sums, metrics);
            Some(postgres)
        }
        Err(error) => {
            tracing::debug!(%error, "the ledger cannot be read");
            None
        }
    }
}

async fn sums(postgres: &mut AsyncPgConnection) -> diesel::QueryResult<Sums> {
    sql_query(
        "SELECT coalesce(sum(delivered), 0)::int8 AS delivered, coalesce(sum(scored), 0)::int8 AS scored,
                coalesce(sum(poison), 0)::int8 AS poison, coalesce(sum(late), 0)::int8 AS late,
                coalesce(sum(duplicates), 0)::int8 AS duplicates, coalesce(sum(dead_letters), 0)::int8 AS dead_letters,
                coalesce(sum(expired), 0)::int8 AS expired, coalesce(sum(abs(unaccounted)), 0)::int8 AS unaccounted
         FROM ledger",
    )
    .get_result(postgres)
    .await
}

fn show(sums: &Sums, metrics: &Metrics) {
    let Sums { delivered, scored, poison, late, duplicates, dead_letters, expired, unaccounted } = sums;
    for (fate, records) in [
        ("delivered", delivered),
        ("scored", scored),
        ("poison", poison),
        ("late", late),
        ("duplicate", duplicates),
        ("dead_letter", dead_letters),
        ("expired", expired),
        ("unaccounted", unaccounted),
    ] {
        metrics.ledger_records.with_label_values(&[fate]).set(*records);
    }
}
