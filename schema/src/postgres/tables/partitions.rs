//! `partitions`: positions and ledgers; `deployment`; `log_losses`: ranges of the log that were
//! lost.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

diesel::table! {
    deployment (id) {
        id -> Integer,
        partitions -> Integer,
        name -> Text,
    }
}

diesel::table! {
    partitions (id) {
        id -> Integer,
        generation -> BigInt,
        n -> BigInt,
        epoch -> BigInt,
        delivered -> BigInt,
        scored -> BigInt,
        unscored -> BigInt,
        poison -> BigInt,
        late -> BigInt,
        duplicates -> BigInt,
        dead_letters -> BigInt,
        detectors -> Nullable<Text>,
        clean_shutdown -> Bool,
        algorithm -> Nullable<Integer>,
        expired -> BigInt,
        expired_unscored -> BigInt,
        expired_poison -> BigInt,
        expired_late -> BigInt,
        dead_letters_deleted -> BigInt,
        dead_letters_unstored -> BigInt,
    }
}

diesel::table! {
    log_losses (partition, after_generation, after_n, before_generation, before_n) {
        partition -> Integer,
        after_generation -> BigInt,
        after_n -> BigInt,
        before_generation -> BigInt,
        before_n -> BigInt,
        noticed -> Timestamptz,
    }
}

/// The ledger of one partition, or the sum of several.
///
/// It balances if `delivered` equals the sum of the six outcomes that follow it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName, diesel::Queryable, diesel::Selectable,
)]
#[diesel(table_name = partitions)]
pub struct Ledger {
    /// Records that were read from the log, without controls.
    pub delivered: i64,
    /// Scored readings.
    pub scored: i64,
    /// Readings without a field that is scored, stored without a score.
    pub unscored: i64,
    /// Quarantined readings that are stored without a score.
    pub poison: i64,
    /// Readings that were not newer than their sensor's newest, stored without a score.
    pub late: i64,
    /// Readings that were stored before, and redelivered dead letters.
    pub duplicates: i64,
    /// Dead letters.
    pub dead_letters: i64,
    /// Rows of `readings` that retention has deleted since.
    pub expired: i64,
    /// The unscored readings among them.
    pub expired_unscored: i64,
    /// The poison readings among them.
    pub expired_poison: i64,
    /// The late readings among them.
    pub expired_late: i64,
    /// Dead letters that an operator or retention has deleted since.
    pub dead_letters_deleted: i64,
    /// Dead letters that were only counted, since too many came at once.
    pub dead_letters_unstored: i64,
}

impl Ledger {
    /// Returns the number of delivered records without an outcome; 0 if the ledger balances.
    pub const fn unaccounted(&self) -> i64 {
        self.delivered
            - self.scored
            - self.unscored
            - self.poison
            - self.late
            - self.duplicates
            - self.dead_letters
    }

    /// Returns the number of rows that `readings` must have now.
    pub const fn stored(&self) -> i64 {
        self.scored + self.unscored + self.poison + self.late - self.expired
    }

    /// Returns the number of rows that `dead_letters` must have now.
    pub const fn dead_letters_stored(&self) -> i64 {
        self.dead_letters - self.dead_letters_deleted - self.dead_letters_unstored
    }
}

impl std::ops::Add for Ledger {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            scored: self.scored + other.scored,
            unscored: self.unscored + other.unscored,
            poison: self.poison + other.poison,
            late: self.late + other.late,
            duplicates: self.duplicates + other.duplicates,
            dead_letters: self.dead_letters + other.dead_letters,
            expired: self.expired + other.expired,
            expired_unscored: self.expired_unscored + other.expired_unscored,
            expired_poison: self.expired_poison + other.expired_poison,
            expired_late: self.expired_late + other.expired_late,
            dead_letters_deleted: self.dead_letters_deleted + other.dead_letters_deleted,
            dead_letters_unstored: self.dead_letters_unstored + other.dead_letters_unstored,
        }
    }
}

impl std::iter::Sum for Ledger {
    fn sum<I: Iterator<Item = Self>>(ledgers: I) -> Self {
        ledgers.fold(Self::default(), std::ops::Add::add)
    }
}
