//! One element of a partition's stream: a batch of readings and dead letters, packed.
//!
//! # Layout, version 1
//!
//! | part | bytes | what |
//! |---|---|---|
//! | version | 1 | `1` |
//! | kind | 1 | `1` = records |
//! | predecessor | varint, varint | generation and n of the entry before this one |
//! | field sets | varint count, then each: | |
//! | · names | varint count, then each varint length and UTF-8 | sorted |
//! | series | varint count, then each: | one per sensor and field set |
//! | · sensor | varint length and UTF-8 | the name |
//! | · field set | varint | its index |
//! | records | varint count, then each: | |
//! | · head | varint | bit 0 dead letter, bit 1 redelivered, bit 2 stamped, from bit 3 the series' index |
//! | · received | zigzag varint | µs, minus that of the record before (0 before the first) |
//! | · of a reading: ts | zigzag varint | µs, minus that of the reading before (0 before the first) |
//! | · of a reading: values | 8 per field | bits of the 64-bit float, little endian |
//! | · of a dead letter | four times varint length and bytes | reason (its name), topic, detail, payload |
//! | · of a dead letter: payload length | varint | of the whole payload |
//!
//! A control entry holds one control instead of the parts from the field sets on:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | kind | 1 | `2` = control |
//! | received | zigzag varint | µs |
//! | control | twice varint length and UTF-8 | its name and its body |
//!
//! Every entry ends with a checksum:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | checksum | 4 | low half of the 64-bit XXH3 of everything before, little endian |
//!
//! Differences wrap around 64 bits. Other kinds of entries come with other features; a reader refuses what it does not
//! know, rather than skip it. Decoding never panics, and allocates in proportion to the bytes it is given.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use crate::dead_letter::DeadLetter;
use crate::ids::{Position, SensorName};
use crate::reading::{Reading, Timestamp};
use crate::wire::WireError;

mod decode;
mod encode;

const VERSION: u8 = 1;
const KIND_RECORDS: u8 = 1;
const KIND_CONTROL: u8 = 2;
/// Where in an entry its kind stands.
const KIND_AT: usize = 1;
const CHECKSUM_BYTES: usize = 4;

const DEAD_LETTER: u64 = 1;
const REDELIVERED: u64 = 2;
const STAMPED: u64 = 4;
const SERIES_SHIFT: u32 = 3;

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A measurement to be scored and stored.
    Reading(Reading),
    /// What could not become one.
    DeadLetter(DeadLetter),
    /// What changes how the readings after it are scored. Stands alone in its entry.
    Control(Control),
}

/// Whatever else than a reading changes state or output, effective at its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// How sensors are configured from here on: all rules, as JSON.
    Detectors(String),
    /// What a person says of an anomaly.
    Label {
        /// Whose anomaly it is.
        sensor: SensorName,
        /// When it began.
        started: Timestamp,
        /// `true`, `false` or `maintenance`.
        label: String,
    },
}

impl Control {
    fn name(&self) -> &'static str {
        match self {
            Self::Detectors(_) => "detectors",
            Self::Label { .. } => "label",
        }
    }

    /// Of a label: the label, the beginning in µs and the sensor, with a space between.
    fn body(&self) -> Cow<'_, str> {
        match self {
            Self::Detectors(json) => Cow::Borrowed(json),
            Self::Label { sensor, started, label } => {
                Cow::Owned(format!("{label} {} {}", started.0, sensor.as_str()))
            }
        }
    }

    fn parse(name: &str, body: &str) -> Option<Self> {
        match name {
            "detectors" => Some(Self::Detectors(body.to_owned())),
            "label" => {
                let mut parts = body.splitn(3, ' ');
                let (label, started, sensor) = (parts.next()?, parts.next()?, parts.next()?);
                let (started, sensor) = (Timestamp(started.parse().ok()?), SensorName::new(sensor).ok()?);
                Some(Self::Label { sensor, started, label: label.to_owned() })
            }
            _ => None,
        }
    }
}

/// One reading or dead letter as it came from the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When the MQTT message reached the ingress, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker marked the message as a repeated delivery (MQTT's DUP flag).
    pub redelivered: bool,
    /// What it holds.
    pub item: Item,
}

/// One element of a partition's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position of the entry before this one: a reader that comes from elsewhere has met a gap.
    pub predecessor: Position,
    /// In the order in which they take effect.
    pub records: Vec<Record>,
}

/// Why bytes are not an entry that this build can apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Written in another version of the format.
    #[error(
        "the entry has format version {0}, this build reads {VERSION}; run the build that wrote it, or a newer one"
    )]
    UnknownVersion(u8),
    /// Written by a build that knows more kinds of entries.
    #[error("the entry is of the unknown kind {0}; run the build that wrote it, or a newer one")]
    UnknownKind(u8),
    /// Shorter than every entry, or ending within a value.
    #[error("the entry is truncated")]
    Truncated,
    /// The checksum does not match.
    #[error("the entry is damaged, its checksum does not match")]
    Damaged,
    /// The checksum matches, the content makes no sense.
    #[error("the entry is corrupt: {0}")]
    Corrupt(&'static str),
}

impl From<WireError> for EntryError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated => Self::Truncated,
            WireError::VarintTooLong => Self::Corrupt("a number has more than 64 bits"),
            WireError::NotUtf8 => Self::Corrupt("a text is not UTF-8"),
        }
    }
}

impl Entry {
    /// The entry of a control.
    pub fn of_control(received: i64, control: Control) -> Self {
        let record = Record { received, redelivered: false, item: Item::Control(control) };
        Self { predecessor: Position::default(), records: vec![record] }
    }

    /// Whether packed bytes are those of a control entry, as far as can be told without unpacking them.
    pub fn is_control(bytes: &[u8]) -> bool {
        bytes.get(KIND_AT) == Some(&KIND_CONTROL)
    }

    /// Packs the entry.
    ///
    /// # Panics
    /// If a reading has not exactly one value per field, or a control does not stand alone.
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// Unpacks an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        decode::decode(bytes)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests;
