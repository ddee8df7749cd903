//! `dead_letters`: messages and readings that cannot be processed.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

use diesel::QueryableByName;

use crate::ids::{Position, RecordPosition};
use crate::reading::Timestamp;

diesel::table! {
    dead_letters (partition, generation, n, item) {
        partition -> Integer,
        generation -> BigInt,
        n -> BigInt,
        item -> Integer,
        received -> Timestamptz,
        reason -> Text,
        detail -> Text,
        topic -> Text,
        payload -> Binary,
        payload_bytes -> BigInt,
        content -> BigInt,
        replayed -> Nullable<Timestamptz>,
        of_reading -> Bool,
    }
}

/// A row of `dead_letters`.
#[derive(Clone, Debug, PartialEq, QueryableByName, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = dead_letters)]
pub struct DeadLetterRow {
    /// Number of the partition.
    pub partition: i32,
    /// Generation of the log entry.
    pub generation: i64,
    /// Number of the log entry in its generation.
    pub n: i64,
    /// Number of the record in its entry.
    pub item: i32,
    /// When the message arrived.
    pub received: Timestamp,
    /// Name of the [`Reason`](crate::dead_letter::Reason).
    pub reason: String,
    /// An explanation for people.
    pub detail: String,
    /// The MQTT topic; the sensor's name if `of_reading`.
    pub topic: String,
    /// The beginning of the payload.
    pub payload: Vec<u8>,
    /// Length of the whole payload in bytes.
    pub payload_bytes: i64,
    /// Hash of topic, reason and payload. It tells a redelivered message from a new one.
    pub content: i64,
    /// When it was last republished.
    pub replayed: Option<Timestamp>,
    /// Whether it was made of a decoded reading
    /// ([`DeadLetter::of_reading`](crate::DeadLetter::of_reading)).
    pub of_reading: bool,
}

impl DeadLetterRow {
    /// Whether only the beginning of the payload was kept.
    pub fn is_cut(&self) -> bool {
        self.payload_bytes != self.payload.len() as i64
    }

    /// Its position in the log of its partition.
    pub fn position(&self) -> RecordPosition {
        let position = Position::from_columns(self.generation, self.n);
        RecordPosition { position, item: self.item.cast_unsigned() }
    }
}
