//! `thicket status`: partitions, positions, lag, detectors, dead letters.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use fred::clients::Client;
use fred::interfaces::KeysInterface as _;
use serde::Serialize;
use thicket_actors::queue::{LogReader, try_connect_redis};
use thicket_actors::writer::connect_postgres;
use thicket_schema::{Keys, PartitionId};

use crate::cli::Format;
use crate::config::Config;

/// What the stores say of the deployment.
#[derive(Debug, Serialize)]
struct Status {
    partitions: Vec<PartitionStatus>,
    sensors: i64,
    /// Detectors in memory, where the engine of this configuration answers.
    detectors_resident: Option<u64>,
    anomalies: i64,
    dead_letters: BTreeMap<String, i64>,
    totals: Totals,
}

/// One partition.
#[derive(Debug, Serialize)]
struct PartitionStatus {
    partition: i32,
    /// The committed position.
    position: String,
    epoch: i64,
    owner: Option<String>,
    /// Entries of the log that are not committed.
    lag_entries: u64,
    #[serde(flatten)]
    ledger: Ledger,
}

/// Deliveries and what became of them.
#[derive(Debug, Serialize, QueryableByName)]
struct Ledger {
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
    /// Must be 0.
    #[diesel(sql_type = BigInt)]
    unaccounted: i64,
}

/// The partitions together.
#[derive(Debug, Default, Serialize)]
struct Totals {
    delivered: i64,
    scored: i64,
    late: i64,
    duplicates: i64,
    dead_letters: i64,
    unaccounted: i64,
    lag_entries: u64,
}

#[derive(QueryableByName)]
struct PartitionRow {
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    generation: i64,
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(embed)]
    ledger: Ledger,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Reason {
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = BigInt)]
    letters: i64,
}

/// Prints the state of the deployment.
pub(crate) async fn status(config: &Config, format: Format) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let redis = try_connect_redis(&config.redis.url)
        .await
        .context("redis does not answer: start it or set redis.url")?;
    let status = gather(config, &mut postgres, &redis).await?;
    if format.json {
        println!("{}", serde_json::to_string(&status)?);
    } else {
        print(&status);
    }
    Ok(if status.totals.unaccounted == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn gather(config: &Config, postgres: &mut AsyncPgConnection, redis: &Client) -> anyhow::Result<Status> {
    let rows: Vec<PartitionRow> = sql_query(
        "SELECT l.*, p.generation, p.n, p.epoch FROM ledger l JOIN partitions p ON p.id = l.partition ORDER BY l.partition",
    )
    .load(postgres)
    .await
    .context("the tables are missing: run `thicket migrate`")?;
    let keys = Keys::new(&config.redis.prefix)?;
    let reader = LogReader::new(redis.clone(), redis.clone(), keys.clone());
    let mut partitions = Vec::with_capacity(rows.len());
    for row in rows {
        let id = PartitionId(row.partition as u16);
        let position =
            thicket_schema::Position { generation: row.generation.cast_unsigned(), n: row.n.cast_unsigned() };
        partitions.push(PartitionStatus {
            partition: row.partition,
            position: position.to_string(),
            epoch: row.epoch,
            owner: redis.get(keys.lease(id)).await?,
            lag_entries: reader.lag(id, position).await?,
            ledger: row.ledger,
        });
    }
    let reasons: Vec<Reason> =
        sql_query("SELECT reason, letters FROM dead_letter_summary ORDER BY reason").load(postgres).await?;
    let mut totals = Totals::default();
    for PartitionStatus { ledger, lag_entries, .. } in &partitions {
        totals.delivered += ledger.delivered;
        totals.scored += ledger.scored;
        totals.late += ledger.late;
        totals.duplicates += ledger.duplicates;
        totals.dead_letters += ledger.dead_letters;
        totals.unaccounted += ledger.unaccounted;
        totals.lag_entries += lag_entries;
    }
    Ok(Status {
        sensors: count(postgres, "SELECT count(*) FROM sensors").await?,
        anomalies: count(postgres, "SELECT count(*) FROM anomalies").await?,
        detectors_resident: crate::scrape::scrape(config.http.listen)
            .await
            .ok()
            .map(|metrics| metrics.sum("thicket_detectors") as u64),
        dead_letters: reasons.into_iter().map(|row| (row.reason, row.letters)).collect(),
        partitions,
        totals,
    })
}

async fn count(postgres: &mut AsyncPgConnection, query: &str) -> anyhow::Result<i64> {
    let count: Count = sql_query(query).get_result(postgres).await?;
    Ok(count.count)
}

fn print(status: &Status) {
    let Totals { delivered, scored, late, duplicates, dead_letters, unaccounted, lag_entries } =
        status.totals;
    println!(
        "{:<4} {:<22} {:>6} {:>8} {:>12} {:>12}  owner",
        "part", "position", "epoch", "lag", "delivered", "scored"
    );
    for partition in &status.partitions {
        println!(
            "{:<4} {:<22} {:>6} {:>8} {:>12} {:>12}  {}",
            partition.partition,
            partition.position,
            partition.epoch,
            partition.lag_entries,
            partition.ledger.delivered,
            partition.ledger.scored,
            partition.owner.as_deref().unwrap_or("nobody"),
        );
    }
    println!();
    println!("sensors      {}", status.sensors);
    match status.detectors_resident {
        Some(resident) => println!("detectors    {resident} in memory"),
        None => println!("detectors    unknown: no engine answers at http.listen"),
    }
    println!("lag          {lag_entries} entries of the log");
    println!("anomalies    {}", status.anomalies);
    println!(
        "ledger       {delivered} delivered = {scored} scored + {late} late + {duplicates} duplicate + {dead_letters} dead letters + poison; {unaccounted} unaccounted"
    );
    for (reason, letters) in &status.dead_letters {
        println!("             {letters} × {reason}");
    }
}
