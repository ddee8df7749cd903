//! What an entry holds, and why bytes are not an entry.

use super::control::{Control, ControlError};
use super::layout::VERSION;
use crate::dead_letter::DeadLetter;
use crate::ids::Position;
use crate::reading::Reading;
use crate::wire::WireError;

/// The content of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A reading to score and store.
    Reading(Reading),
    /// A message or reading that cannot be processed.
    DeadLetter(DeadLetter),
    /// A change of how later readings are scored. It is the only record of its entry.
    Control(Control),
}

/// One reading, dead letter or control.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When the MQTT message reached the ingress, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker marked the message as a repeated delivery (MQTT's DUP flag).
    pub redelivered: bool,
    /// The content.
    pub item: Item,
}

/// One element of a partition's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position of the entry before this one. A reader that last read another position has met a
    /// gap.
    pub predecessor: Position,
    /// The records, in the order in which they take effect.
    pub records: Vec<Record>,
}

impl Entry {
    /// Creates the entry of a control that was received at `received`, in µs since the Unix epoch.
    pub fn of_control(received: i64, control: Control) -> Self {
        let record = Record { received, redelivered: false, item: Item::Control(control) };
        Self { predecessor: Position::default(), records: vec![record] }
    }
}

/// Why bytes are not an entry that this build can apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The entry has another version of the format. Its checksum matches.
    #[error(
        "the entry has format version {0}, this build reads {VERSION}; run the build that wrote it, or a newer one"
    )]
    UnknownVersion(u8),
    /// A newer build wrote the entry.
    #[error("the entry is of the unknown kind {0}; run the build that wrote it, or a newer one")]
    UnknownKind(u8),
    /// A newer build wrote the entry: it has a control, a reason or a flag that this build does not
    /// know.
    #[error("the entry has {0} that this build does not know; run the build that wrote it, or a newer one")]
    UnknownContent(&'static str),
    /// The bytes are shorter than every entry, or end within a value.
    #[error("the entry is truncated")]
    Truncated,
    /// The checksum does not match.
    #[error("the entry is damaged, its checksum does not match")]
    Damaged,
    /// The checksum matches, but the content is invalid.
    #[error("the entry is corrupt: {0}")]
    Corrupt(&'static str),
}

impl EntryError {
    /// Whether a newer build can apply the entry. Otherwise it is damaged, and no build can.
    pub const fn needs_newer_build(&self) -> bool {
        match self {
            Self::UnknownVersion(version) => *version > VERSION,
            Self::UnknownKind(_) | Self::UnknownContent(_) => true,
            Self::Truncated | Self::Damaged | Self::Corrupt(_) => false,
        }
    }
}

impl From<ControlError> for EntryError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Unknown => Self::UnknownContent("a control"),
            ControlError::Invalid => Self::Corrupt("a control has an invalid body"),
        }
    }
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
