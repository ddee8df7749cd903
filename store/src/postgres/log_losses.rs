//! `log_losses`: ranges of the log that Redis has acknowledged and lost.

use diesel::sql_types::{BigInt, Integer};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{PartitionId, Position};

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
