//! Readings that are skipped by verdict. They are no letters: a poison reading is stored without a score, and an unstorable one has a letter
//! of its own.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::Serialize;

/// A reading that is skipped.
#[derive(Debug, QueryableByName, Serialize)]
pub(super) struct Skipped {
    #[diesel(sql_type = Integer)]
    pub(super) partition: i32,
    #[diesel(sql_type = Text)]
    pub(super) place: String,
    #[diesel(sql_type = Text)]
    pub(super) verdict: String,
    #[diesel(sql_type = Text)]
    pub(super) sensor: String,
    #[diesel(sql_type = Timestamptz)]
    pub(super) ts: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub(super) detail: String,
    #[diesel(sql_type = Timestamptz)]
    pub(super) decided: DateTime<Utc>,
}

/// How many verdicts of one kind there are.
#[derive(Debug, QueryableByName)]
pub(crate) struct VerdictCount {
    #[diesel(sql_type = Text)]
    pub(crate) verdict: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) readings: i64,
}

/// The newest verdicts, at most so many.
pub(super) async fn newest(postgres: &mut AsyncPgConnection, limit: i64) -> QueryResult<Vec<Skipped>> {
    sql_query(
        "SELECT partition, generation || '-' || n || '/' || item AS place, verdict, sensor, ts, detail, decided
         FROM verdicts ORDER BY decided DESC, partition, generation DESC, n DESC, item DESC LIMIT $1",
    )
    .bind::<BigInt, _>(limit)
    .load(postgres)
    .await
}

/// How many verdicts of each kind there are.
pub(crate) async fn counts(postgres: &mut AsyncPgConnection) -> QueryResult<Vec<VerdictCount>> {
    sql_query("SELECT verdict, count(*) AS readings FROM verdicts GROUP BY verdict ORDER BY verdict")
        .load(postgres)
        .await
}
