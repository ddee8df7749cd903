//! `silences`: sensors that are not announced for some time.

use std::time::Duration;

use diesel::sql_types::{BigInt, Double, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

/// A silence that has not ended.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct Silence {
    /// Its number.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// Pattern of the sensors' names: `*` any text, `?` any character.
    #[diesel(sql_type = Text)]
    pub pattern: String,
    /// Its end.
    #[diesel(sql_type = Timestamptz)]
    pub until: Timestamp,
    /// A remark of the author.
    #[diesel(sql_type = Text)]
    pub note: String,
    /// Its author.
    #[diesel(sql_type = Text)]
    pub author: String,
}

/// Silences the sensors that match a pattern.
pub async fn silence(
    connection: &mut AsyncPgConnection,
    pattern: &str,
    lasts: Duration,
    note: &str,
    author: &str,
) -> QueryResult<Silence> {
    sql_query(
        "INSERT INTO silences (pattern, until, note, author)
         VALUES ($1, now() + $2 * interval '1 second', $3, $4) RETURNING id, pattern, until, note, author",
    )
    .bind::<Text, _>(pattern)
    .bind::<Double, _>(lasts.as_secs_f64())
    .bind::<Text, _>(note)
    .bind::<Text, _>(author)
    .get_result(connection)
    .await
}

/// Ends a silence now. Returns false if there is no such silence.
pub async fn end_silence(connection: &mut AsyncPgConnection, id: i64) -> QueryResult<bool> {
    let ended = sql_query("UPDATE silences SET until = now() WHERE id = $1 AND until > now()")
        .bind::<BigInt, _>(id)
        .execute(connection)
        .await?;
    Ok(ended == 1)
}

/// Returns the silences that have not ended, the oldest first.
pub async fn list_silences(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Silence>> {
    sql_query("SELECT id, pattern, until, note, author FROM silences WHERE until > now() ORDER BY id")
        .load(connection)
        .await
}
