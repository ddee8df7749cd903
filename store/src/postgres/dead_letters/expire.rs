//! Deletes dead letters that are too old or too many, the oldest first.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::sql_types::{BigInt, Double, Integer};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};

use crate::postgres::partitions::add_deleted_dead_letters;

/// Maximum number of dead letters that one transaction deletes.
const CHUNK: i64 = 5_000;

#[derive(QueryableByName)]
struct Deleted {
    #[diesel(sql_type = Integer)]
    partition: i32,
}

/// Deletes some dead letters that are older than `keep`, and some of those beyond the newest
/// `max_rows`. Counts them in the ledger. Returns their number: 0 if there are no more.
///
/// `None` keeps dead letters of any age. An entry of the log that cannot be decoded has no arrival
/// time, and expires by number only.
pub async fn expire_dead_letters(
    connection: &mut AsyncPgConnection,
    keep: Option<Duration>,
    max_rows: u64,
) -> QueryResult<u64> {
    let max_rows = i64::try_from(max_rows).unwrap_or(i64::MAX);
    // Older than all dead letters.
    let keep = keep.map_or(1e10, |keep| keep.as_secs_f64());
    connection
        .transaction(async |connection| {
            let deleted: Vec<Deleted> = sql_query(
                "WITH doomed AS (
                     (SELECT partition, generation, n, item FROM dead_letters
                      WHERE received < now() - make_interval(secs => $1) AND received > 'epoch'
                      ORDER BY received LIMIT $3)
                     UNION
                     (SELECT partition, generation, n, item FROM dead_letters
                      WHERE received <= (SELECT received FROM dead_letters ORDER BY received DESC OFFSET $2 LIMIT 1)
                      ORDER BY received LIMIT greatest(0, least($3, (SELECT count(*) FROM dead_letters) - $2))))
                 DELETE FROM dead_letters d USING doomed o
                 WHERE d.partition = o.partition AND d.generation = o.generation AND d.n = o.n AND d.item = o.item
                 RETURNING d.partition",
            )
            .bind::<Double, _>(keep)
            .bind::<BigInt, _>(max_rows)
            .bind::<BigInt, _>(CHUNK)
            .load(connection)
            .await?;
            let mut counts: BTreeMap<i32, i64> = BTreeMap::new();
            for Deleted { partition } in &deleted {
                *counts.entry(*partition).or_default() += 1;
            }
            // In the order of the partitions, as the writers lock them.
            for (partition, count) in counts {
                add_deleted_dead_letters(connection, partition, count).await?;
            }
            Ok(deleted.len() as u64)
        })
        .await
}
