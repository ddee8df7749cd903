//! `counted_dead_letters`: the contents of the last dead letters of each partition that were only
//! counted. One of them that the broker delivers again is recognised, and is not counted twice.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Integer, Timestamptz};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{PartitionId, Timestamp};

/// Number of contents that a partition keeps: as many messages as are in flight by default
/// (`mqtt.max_in_flight`), and can be delivered again.
const KEPT: i64 = 8_192;

/// The dead letters of a transaction that are only counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// By partition, in the order of the log: content hash and arrival. `None` if the content is not
    /// known.
    of: BTreeMap<i32, Vec<(Option<i64>, Timestamp)>>,
}

impl Counted {
    /// Adds a dead letter that arrived at `received`, in µs since the Unix epoch.
    pub(super) fn push(&mut self, partition: PartitionId, content: Option<i64>, received: i64) {
        self.of.entry(i32::from(partition.0)).or_default().push((content, Timestamp(received)));
    }

    /// Replaces the oldest contents of each partition. The ledger must not count these dead letters
    /// yet: its count says which contents are the oldest.
    pub(super) async fn insert(&self, connection: &mut AsyncPgConnection) -> QueryResult<()> {
        let rows: Vec<(i32, i64, i64, Timestamp)> = self
            .of
            .iter()
            .flat_map(|(&partition, counted)| {
                let replaced = counted.len().saturating_sub(KEPT as usize);
                let numbered = (0_i64..).zip(counted).skip(replaced);
                numbered
                    .filter_map(move |(nth, &(content, received))| Some((partition, nth, content?, received)))
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        sql_query(
            "INSERT INTO counted_dead_letters (partition, place, content, received)
             SELECT c.partition, (p.dead_letters_unstored + c.nth) % $5, c.content, c.received
             FROM UNNEST($1::int4[], $2::int8[], $3::int8[], $4::timestamptz[]) AS c (partition, nth, content, received)
             JOIN partitions p ON p.id = c.partition
             ON CONFLICT (partition, place) DO UPDATE
             SET content = excluded.content, received = excluded.received",
        )
        .bind::<Array<Integer>, _>(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .bind::<BigInt, _>(KEPT)
        .execute(connection)
        .await?;
        Ok(())
    }
}
