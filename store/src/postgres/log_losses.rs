//! `log_losses`: ranges of the log that Redis has acknowledged and lost.

use diesel::sql_types::{BigInt, Integer};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::log_losses;
use thicket_schema::{PartitionId, Position, Timestamp};

/// A lost range of a partition's log: the entries between `after` and `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLoss {
    /// The last entry before the gap.
    pub after: Position,
    /// The first entry after it.
    pub before: Position,
}

/// Records lost ranges.
pub(super) async fn insert_losses(
    connection: &mut AsyncPgConnection,
    partition: PartitionId,
    losses: &[LogLoss],
) -> QueryResult<()> {
    for LogLoss { after, before } in losses {
        sql_query(
            "INSERT INTO log_losses (partition, after_generation, after_n, before_generation, before_n)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind::<Integer, _>(i32::from(partition.0))
        .bind::<BigInt, _>(after.generation.cast_signed())
        .bind::<BigInt, _>(after.n.cast_signed())
        .bind::<BigInt, _>(before.generation.cast_signed())
        .bind::<BigInt, _>(before.n.cast_signed())
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// A lost range as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLoss {
    /// Number of the partition.
    pub partition: i32,
    /// The lost range.
    pub range: LogLoss,
    /// When a shard noticed the gap.
    pub noticed: Timestamp,
}

/// Returns the ranges that were noticed at `since` or later, ordered by partition and position; all
/// ranges if it is `None`.
pub async fn stored_losses(
    connection: &mut AsyncPgConnection,
    since: Option<Timestamp>,
) -> QueryResult<Vec<StoredLoss>> {
    let mut query = log_losses::table.into_boxed();
    if let Some(since) = since {
        query = query.filter(log_losses::noticed.ge(since));
    }
    let rows: Vec<(i32, i64, i64, i64, i64, Timestamp)> = query
        .order((log_losses::partition, log_losses::after_generation, log_losses::after_n))
        .load(connection)
        .await?;
    let losses = rows.into_iter().map(
        |(partition, after_generation, after_n, before_generation, before_n, noticed)| {
            let after = Position::from_columns(after_generation, after_n);
            let before = Position::from_columns(before_generation, before_n);
            StoredLoss { partition, range: LogLoss { after, before }, noticed }
        },
    );
    Ok(losses.collect())
}
