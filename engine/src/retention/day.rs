//! The end of one day of readings.

use std::time::Duration;

use anyhow::Context as _;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use fred::clients::Client;
use thicket_actors::queue::RedisError;
use thicket_schema::{Keys, PartitionId, SensorName};

use crate::checkpoints;

/// Shorter than `deadlock_timeout`: where a writer and the end of a day wait for each other, the end of the day gives way.
const LOCKS: &str = "SET LOCAL lock_timeout = '500ms'";

/// How long Redis may take to say which checkpoints there are.
const PATIENCE: Duration = Duration::from_secs(30);

/// A table that holds the readings of one day.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(super) struct Day {
    #[diesel(sql_type = Text)]
    pub(super) name: String,
}

/// What became of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Gone, with so many rows.
    Dropped(i64),
    /// So many sensors have no checkpoint that reaches beyond it.
    Kept { waiting: usize },
}

/// Why a day could not be ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum DayError {
    #[error("postgresql: {0}")]
    Database(#[from] diesel::result::Error),
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error("redis does not say in time which checkpoints there are")]
    NoAnswer,
    #[error("{0} of its rows have no sensor, so no ledger could count them; `thicket reconcile` shows more")]
    NoSensor(i64),
    #[error("a sensor has a name that cannot be one: {0}")]
    Name(#[from] thicket_schema::SensorNameError),
}

impl DayError {
    /// Whether somebody else held what was needed.
    pub(super) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Database(error) if error.to_string().contains("lock timeout"))
    }
}

/// The days that ended longer ago than `age`, the oldest first.
pub(super) async fn expired(postgres: &mut AsyncPgConnection, age: Duration) -> anyhow::Result<Vec<Day>> {
    sql_query(
        r"SELECT name FROM (
              SELECT c.relname::text AS name,
                     to_date(regexp_replace(c.relname, '^readings_y(\d+)m(\d\d)d(\d\d)$', '\1-\2-\3'), 'YYYY-MM-DD') AS day
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'readings'::regclass AND c.relname ~ '^readings_y\d+m\d\dd\d\d$') days
          WHERE (day + 1)::timestamp <= (now() AT TIME ZONE 'UTC') - make_interval(secs => $1)
          ORDER BY day",
    )
    .bind::<Double, _>(age.as_secs_f64())
    .load(postgres)
    .await
    .context("postgresql does not say which days there are")
}

/// A sensor's newest scored row of the day.
#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// Rows of the day by the partition that counts them; none for rows without a sensor.
#[derive(QueryableByName)]
struct Rows {
    #[diesel(sql_type = Nullable<Integer>)]
    partition: Option<i32>,
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    poison: i64,
    #[diesel(sql_type = BigInt)]
    late: i64,
}

impl Day {
    /// Drops the day and moves its rows to the ledger's expired ones, unless a detector still needs them.
    pub(super) async fn end(
        &self,
        postgres: &mut AsyncPgConnection,
        redis: &Client,
        keys: &Keys,
    ) -> Result<Fate, DayError> {
        postgres
            .transaction(async |postgres| {
                // Nobody writes to the day while it is looked at; everybody reads, and writes to other days.
                postgres.batch_execute(&format!("{LOCKS}; LOCK TABLE {} IN SHARE MODE", self.name)).await?;
                let waiting = self.waiting(postgres, redis, keys).await?;
                if waiting > 0 {
                    return Ok(Fate::Kept { waiting });
                }
                let rows = self.rows(postgres).await?;
                if let Some(Rows { all, .. }) = rows.iter().find(|rows| rows.partition.is_none()) {
                    return Err(DayError::NoSensor(*all));
                }
                expire(postgres, &rows).await?;
                postgres.batch_execute(&format!("DROP TABLE {}", self.name)).await?;
                Ok(Fate::Dropped(rows.iter().map(|rows| rows.all).sum()))
            })
            .await
    }

    /// How many sensors would lose what their detectors are restored from.
    async fn waiting(
        &self,
        postgres: &mut AsyncPgConnection,
        redis: &Client,
        keys: &Keys,
    ) -> Result<usize, DayError> {
        let newest: Vec<Newest> = sql_query(format!(
            "SELECT s.name, s.partition, newest.seq
             FROM (SELECT sensor, max(seq) AS seq FROM {} WHERE seq IS NOT NULL GROUP BY sensor) newest
             JOIN sensors s ON s.id = newest.sensor",
            self.name
        ))
        .load(postgres)
        .await?;
        let sensors: Vec<(PartitionId, SensorName)> = newest
            .iter()
            .map(|row| Ok((PartitionId(row.partition as u16), SensorName::new(&row.name)?)))
            .collect::<Result<_, thicket_schema::SensorNameError>>()?;
        // The day is locked, so this may not wait for a Redis that is away.
        let saved = tokio::time::timeout(PATIENCE, checkpoints::seqs(redis, keys, &sensors)).await;
        let saved = saved.map_err(|_| DayError::NoAnswer)??;
        let waits = |(row, saved): &(&Newest, Option<i64>)| saved.is_none_or(|saved| saved < row.seq);
        Ok(newest.iter().zip(saved).filter(waits).count())
    }

    async fn rows(&self, postgres: &mut AsyncPgConnection) -> QueryResult<Vec<Rows>> {
        sql_query(format!(
            r#"SELECT s.partition, count(*) AS "all", count(*) FILTER (WHERE (r.flags & 8) <> 0) AS poison,
                      count(*) FILTER (WHERE (r.flags & 4) <> 0) AS late
               FROM {} r LEFT JOIN sensors s ON s.id = r.sensor GROUP BY s.partition ORDER BY s.partition"#,
            self.name
        ))
        .load(postgres)
        .await
    }
}

/// One by one and in order, as the engine's writers lock them.
async fn expire(postgres: &mut AsyncPgConnection, rows: &[Rows]) -> QueryResult<()> {
    for Rows { partition, all, poison, late } in rows {
        sql_query(
            "UPDATE partitions SET expired = expired + $2, expired_poison = expired_poison + $3, expired_late = expired_late + $4
             WHERE id = $1",
        )
        .bind::<Nullable<Integer>, _>(partition)
        .bind::<BigInt, _>(all)
        .bind::<BigInt, _>(poison)
        .bind::<BigInt, _>(late)
        .execute(postgres)
        .await?;
    }
    Ok(())
}
