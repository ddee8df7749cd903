//! `thicket status`: partitions, positions, lag, detectors; the ledger, and what is on its way.

mod print;

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

use crate::config::Config;
use crate::in_flight::{InFlight, in_flight};
use crate::losses::{self, Loss};
use crate::output::Format;
use crate::scrape::{self, Samples};

/// What the stores say of the deployment.
#[derive(Debug, Serialize)]
struct Status {
    partitions: Vec<PartitionStatus>,
    sensors: i64,
    /// Detectors in memory, where the engine of this configuration answers.
    detectors_resident: Option<u64>,
    anomalies: i64,
    /// Those that are kept, by reason.
    dead_letters: BTreeMap<String, i64>,
    /// Readings that were skipped, by verdict.
    verdicts: BTreeMap<String, i64>,
    /// Messages that the broker dropped since it started, as it says itself, where the engine answers.
    broker_dropped: Option<u64>,
    /// Stretches of the log that Redis acknowledged and lost.
    losses: Vec<Loss>,
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
    /// Records in them; nothing where there are too many to count.
    in_flight: Option<u64>,
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
    /// Rows in `readings` now.
    #[diesel(sql_type = BigInt)]
    stored: i64,
    /// Rows that retention dropped.
    #[diesel(sql_type = BigInt)]
    expired: i64,
    /// Dead letters that no operator dropped.
    #[diesel(sql_type = BigInt)]
    letters_kept: i64,
}

/// The partitions together.
#[derive(Debug, Default, Serialize)]
struct Totals {
    delivered: i64,
    scored: i64,
    poison: i64,
    late: i64,
    duplicates: i64,
    dead_letters: i64,
    unaccounted: i64,
    stored: i64,
    expired: i64,
    letters_kept: i64,
    lag_entries: u64,
    in_flight: Option<u64>,
}

impl Totals {
    fn of(partitions: &[PartitionStatus]) -> Self {
        let mut totals = Self::default();
        let mut waiting = InFlight::NOTHING;
        for PartitionStatus { ledger, lag_entries, in_flight, .. } in partitions {
            totals.delivered += ledger.delivered;
            totals.scored += ledger.scored;
            totals.poison += ledger.poison;
            totals.late += ledger.late;
            totals.duplicates += ledger.duplicates;
            totals.dead_letters += ledger.dead_letters;
            totals.unaccounted += ledger.unaccounted.abs();
            totals.stored += ledger.stored;
            totals.expired += ledger.expired;
            totals.letters_kept += ledger.letters_kept;
            waiting = waiting.and(InFlight { entries: *lag_entries, records: *in_flight });
        }
        Self { lag_entries: waiting.entries, in_flight: waiting.records, ..totals }
    }
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
        print::print(&status);
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
        let waiting = in_flight(&reader, id, position).await?;
        partitions.push(PartitionStatus {
            partition: row.partition,
            position: position.to_string(),
            epoch: row.epoch,
            owner: redis.get(keys.lease(id)).await?,
            lag_entries: waiting.entries,
            in_flight: waiting.records,
            ledger: row.ledger,
        });
    }
    let reasons: Vec<Reason> =
        sql_query("SELECT reason, letters FROM dead_letter_summary ORDER BY reason").load(postgres).await?;
    let verdicts = thicket_store::postgres::quarantined_by_reason(postgres).await?;
    let engine = scrape::scrape(config.http.listen).await.ok();
    let of_engine = |metric: &str| engine.as_ref().map(|metrics: &Samples| metrics.sum(metric) as u64);
    Ok(Status {
        sensors: count(postgres, "SELECT count(*) FROM sensors").await?,
        anomalies: count(postgres, "SELECT count(*) FROM anomalies").await?,
        detectors_resident: of_engine("thicket_detectors"),
        broker_dropped: of_engine("thicket_broker_dropped_messages"),
        verdicts: verdicts.into_iter().map(|row| (row.verdict, row.readings)).collect(),
        losses: losses::since(postgres, None).await?,
        dead_letters: reasons.into_iter().map(|row| (row.reason, row.letters)).collect(),
        totals: Totals::of(&partitions),
        partitions,
    })
}

async fn count(postgres: &mut AsyncPgConnection, query: &str) -> anyhow::Result<i64> {
    let count: Count = sql_query(query).get_result(postgres).await?;
    Ok(count.count)
}
