//! `quarantine`: readings that every replay of the log skips.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::ids::{Position, RecordPosition};
use crate::reading::Timestamp;

diesel::table! {
    quarantine (partition, generation, n, item) {
        partition -> Integer,
        generation -> BigInt,
        n -> BigInt,
        item -> Integer,
        reason -> Text,
        sensor -> Text,
        ts -> Timestamptz,
        detail -> Text,
        quarantined -> Timestamptz,
    }
}

/// A row of `quarantine`.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = quarantine)]
pub struct QuarantineRow {
    /// Number of the partition.
    pub partition: i32,
    /// Generation of the log entry.
    pub generation: i64,
    /// Number of the log entry in its generation.
    pub n: i64,
    /// Number of the record in its entry.
    pub item: i32,
    /// `poison` or `unstorable`.
    pub reason: String,
    /// Name of the sensor.
    pub sensor: String,
    /// When the reading was measured.
    pub ts: Timestamp,
    /// The cause, for people.
    pub detail: String,
    /// When it was quarantined.
    pub quarantined: Timestamp,
}

impl QuarantineRow {
    /// Its position in the log of its partition.
    pub fn position(&self) -> RecordPosition {
        let position = Position::from_columns(self.generation, self.n);
        RecordPosition { position, item: self.item.cast_unsigned() }
    }
}
