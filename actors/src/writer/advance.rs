//! The position and the ledger of each partition: what makes a transaction the commit point.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::partitions;
use thicket_schema::{PartitionId, Position};

use crate::protocol::commit::Committed;

/// How a transaction moves one partition on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Advance {
    pub(super) epoch: i64,
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) counts: Counts,
    /// How its sensors are configured from there on, if that changes.
    pub(super) detectors: Option<String>,
}

/// What a transaction adds to a partition's ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) scored: u64,
    pub(super) poison: u64,
    pub(super) late: u64,
    pub(super) duplicates: u64,
    pub(super) dead_letters: u64,
}

/// Moves the partitions on; returns how many stood where the transaction believed them to stand.
pub(super) async fn advance(
    connection: &mut AsyncPgConnection,
    advances: &BTreeMap<PartitionId, Advance>,
) -> QueryResult<usize> {
    let column =
        |value: fn(&Advance) -> u64| advances.values().map(|a| value(a).cast_signed()).collect::<Vec<i64>>();
    let ids: Vec<i32> = advances.keys().map(|partition| i32::from(partition.0)).collect();
    let epochs: Vec<i64> = advances.values().map(|advance| advance.epoch).collect();
    let detectors: Vec<Option<&str>> =
        advances.values().map(|advance| advance.detectors.as_deref()).collect();
    sql_query(
        "UPDATE partitions p
         SET generation = a.to_generation, n = a.to_n,
             delivered = p.delivered + a.delivered, scored = p.scored + a.scored, poison = p.poison + a.poison,
             late = p.late + a.late, duplicates = p.duplicates + a.duplicates,
             dead_letters = p.dead_letters + a.dead_letters, detectors = coalesce(a.detectors, p.detectors)
         FROM UNNEST($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
                     $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::text[])
              AS a (id, epoch, from_generation, from_n, to_generation, to_n, delivered, scored, poison, late, duplicates, dead_letters, detectors)
         WHERE p.id = a.id AND p.epoch = a.epoch AND p.generation = a.from_generation AND p.n = a.from_n",
    )
    .bind::<Array<Integer>, _>(ids)
    .bind::<Array<BigInt>, _>(epochs)
    .bind::<Array<BigInt>, _>(column(|a| a.from.generation))
    .bind::<Array<BigInt>, _>(column(|a| a.from.n))
    .bind::<Array<BigInt>, _>(column(|a| a.to.generation))
    .bind::<Array<BigInt>, _>(column(|a| a.to.n))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.delivered))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.scored))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.poison))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.late))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.duplicates))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.dead_letters))
    .bind::<Array<Nullable<Text>>, _>(detectors)
    .execute(connection)
    .await
}

/// Epoch and position of every partition, locked against other owners until the transaction ends, in a fixed order so
/// that two writers cannot wait for each other.
pub(super) async fn lock_partitions(
    connection: &mut AsyncPgConnection,
    ids: Vec<i32>,
) -> QueryResult<BTreeMap<PartitionId, Committed>> {
    let rows: Vec<(i32, i64, i64, i64)> = partitions::table
        .filter(partitions::id.eq_any(ids))
        .order(partitions::id)
        .select((partitions::id, partitions::epoch, partitions::generation, partitions::n))
        .for_update()
        .load(connection)
        .await?;
    let committed = rows.into_iter().map(|(id, epoch, generation, n)| {
        let position = Position { generation: generation.cast_unsigned(), n: n.cast_unsigned() };
        (PartitionId(id as u16), Committed { epoch, position })
    });
    Ok(committed.collect())
}
