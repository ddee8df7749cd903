//! What the ledger says, and the letters that must be there.

use diesel::sql_types::{BigInt, Integer};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Position;

/// A partition's ledger.
#[derive(Clone, Debug, Default, QueryableByName)]
pub(super) struct Ledger {
    #[diesel(sql_type = Integer)]
    pub(super) partition: i32,
    #[diesel(sql_type = BigInt)]
    pub(super) generation: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) n: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) delivered: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) scored: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) poison: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) late: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) duplicates: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) dead_letters: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) expired: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) expired_poison: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) expired_late: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) dropped_letters: i64,
    /// Letters in the table.
    #[diesel(sql_type = BigInt)]
    pub(super) letters: i64,
}

impl Ledger {
    /// The committed position.
    pub(super) fn position(&self) -> Position {
        Position { generation: self.generation.cast_unsigned(), n: self.n.cast_unsigned() }
    }

    /// Scored rows that retention dropped.
    pub(super) fn expired_scored(&self) -> i64 {
        self.expired - self.expired_poison - self.expired_late
    }
}

/// The ledgers of all partitions, in order.
pub(super) async fn ledgers(postgres: &mut AsyncPgConnection) -> QueryResult<Vec<Ledger>> {
    sql_query(
        "SELECT p.id AS partition, p.generation, p.n, p.delivered, p.scored, p.poison, p.late, p.duplicates, p.dead_letters,
                p.expired, p.expired_poison, p.expired_late, p.dropped_letters, coalesce(d.letters, 0) AS letters
         FROM partitions p
         LEFT JOIN (SELECT partition, count(*) AS letters FROM dead_letters GROUP BY partition) d ON d.partition = p.id
         ORDER BY p.id",
    )
    .load(postgres)
    .await
}
