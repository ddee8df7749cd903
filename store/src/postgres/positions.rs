//! Positions and ledgers in `partitions`. A transaction that updates them is a commit point.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{Ledger, partitions};
use thicket_schema::{PartitionId, Position};

use thicket_protocol::commit::Committed;

/// The change of one partition in a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Advance {
    pub(super) epoch: i64,
    pub(super) from: Position,
    pub(super) to: Position,
    /// The numbers to add to the ledger.
    pub(super) counts: Ledger,
    /// The configuration of its sensors after `to`; `None` if it does not change.
    pub(super) detectors: Option<String>,
}

/// Advances partitions. Returns how many of them had the expected epoch and position; the others do
/// not change.
pub(super) async fn advance(
    connection: &mut AsyncPgConnection,
    advances: &BTreeMap<PartitionId, Advance>,
) -> QueryResult<usize> {
    let column = |value: fn(&Advance) -> i64| advances.values().map(value).collect::<Vec<i64>>();
    let ids: Vec<i32> = advances.keys().map(|partition| i32::from(partition.0)).collect();
    let epochs: Vec<i64> = advances.values().map(|advance| advance.epoch).collect();
    let detectors: Vec<Option<&str>> =
        advances.values().map(|advance| advance.detectors.as_deref()).collect();
    sql_query(
        "UPDATE partitions p
         SET generation = a.to_generation, n = a.to_n,
             delivered = p.delivered + a.delivered, scored = p.scored + a.scored,
             unscored = p.unscored + a.unscored, poison = p.poison + a.poison,
             late = p.late + a.late, duplicates = p.duplicates + a.duplicates,
             dead_letters = p.dead_letters + a.dead_letters,
             dead_letters_unstored = p.dead_letters_unstored + a.dead_letters_unstored, detectors = coalesce(a.detectors, p.detectors)
         FROM UNNEST($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
                     $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::text[])
              AS a (id, epoch, from_generation, from_n, to_generation, to_n, delivered, scored, unscored, poison, late, duplicates, dead_letters,
                    dead_letters_unstored, detectors)
         WHERE p.id = a.id AND p.epoch = a.epoch AND p.generation = a.from_generation AND p.n = a.from_n",
    )
    .bind::<Array<Integer>, _>(ids)
    .bind::<Array<BigInt>, _>(epochs)
    .bind::<Array<BigInt>, _>(column(|a| a.from.generation.cast_signed()))
    .bind::<Array<BigInt>, _>(column(|a| a.from.n.cast_signed()))
    .bind::<Array<BigInt>, _>(column(|a| a.to.generation.cast_signed()))
    .bind::<Array<BigInt>, _>(column(|a| a.to.n.cast_signed()))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.delivered))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.scored))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.unscored))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.poison))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.late))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.duplicates))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.dead_letters))
    .bind::<Array<BigInt>, _>(column(|a| a.counts.dead_letters_unstored))
    .bind::<Array<Nullable<Text>>, _>(detectors)
    .execute(connection)
    .await
}

/// Locks partitions until the transaction ends. Returns the epoch and position of each. The locks
/// are taken in the order of the ids, so that two writers cannot deadlock.
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
        let position = Position::from_columns(generation, n);
        (PartitionId(id as u16), Committed { epoch, position })
    });
    Ok(committed.collect())
}
