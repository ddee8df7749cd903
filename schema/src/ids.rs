//! Identifiers: sensors, partitions, and positions in the log of a partition.
//!
//! The id and the partition of a sensor are stable hashes of its name. They are the same on every
//! node, in every run and for every number of shards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::name_hash::name_hash;
use crate::text::excerpt;

/// Why a text cannot name a sensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SensorNameError {
    /// The name has no characters.
    #[error("a sensor's name is empty; let the topic carry at least one level for it")]
    Empty,
    /// The name is longer than [`SensorName::MAX_BYTES`].
    #[error(
        "a sensor's name has {bytes} bytes, at most {} are allowed; shorten the topic",
        SensorName::MAX_BYTES
    )]
    TooLong {
        /// Length of the name in bytes.
        bytes: usize,
    },
    /// The name contains a control character, or one of MQTT's wildcards.
    #[error("a sensor's name contains {character:?}, which is not allowed: {name}")]
    ForbiddenCharacter {
        /// The first such character.
        character: char,
        /// The beginning of the name.
        name: String,
    },
    /// The name begins or ends with a slash, or has two in a row.
    #[error("a sensor's name has an empty level; remove leading, trailing and double slashes: {name}")]
    EmptyLevel {
        /// The name.
        name: String,
    },
}

/// The name of a sensor: one or more levels joined by slashes, as captured from an MQTT topic
/// (`site-1/microphone-7`).
///
/// 1 to 200 bytes of UTF-8 without control characters, `+`, `#` and empty levels. Clones share the
/// text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorName {
    text: Arc<str>,
    /// Computed once: each reading needs it several times.
    id: SensorId,
}

impl SensorName {
    /// Maximum length of a name in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks a name and copies it.
    pub fn new(name: &str) -> Result<Self, SensorNameError> {
        if name.is_empty() {
            return Err(SensorNameError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(SensorNameError::TooLong { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|c| c.is_control() || matches!(c, '+' | '#')) {
            return Err(SensorNameError::ForbiddenCharacter { character, name: excerpt(name) });
        }
        if name.split('/').any(str::is_empty) {
            return Err(SensorNameError::EmptyLevel { name: name.to_owned() });
        }
        Ok(Self { text: Arc::from(name), id: SensorId(name_hash(name.as_bytes())) })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the key of the sensor in `PostgreSQL`.
    pub fn id(&self) -> SensorId {
        self.id
    }

    /// Returns the partition of the sensor in a deployment with this number of partitions; 0 counts
    /// as 1.
    pub fn partition(&self, partitions: u16) -> PartitionId {
        PartitionId((self.id.0 as u64 % u64::from(partitions.max(1))) as u16)
    }
}

impl fmt::Display for SensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for SensorName {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for SensorName {
    type Err = SensorNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

/// The key of a sensor in `PostgreSQL`: the first 8 bytes of the SHA-256 of its name, as a signed
/// big-endian integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorId(pub i64);

impl fmt::Display for SensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a partition, from 0. Displayed with at least two digits, as in the Redis keys:
/// `07`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// A position in the log of a partition. Written `generation-n`, which is the id of the entry in
/// the Redis stream.
///
/// The default, `0-0`, is before every entry. Every ingress that opens a log starts a new, greater
/// generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The generation of the writer: at least the wall clock in ms when the writer opened the log.
    pub generation: u64,
    /// The number of the entry in its generation, from 1.
    pub n: u64,
}

impl Position {
    /// Returns the position that two columns of PostgreSQL hold: the bits of each as an unsigned
    /// integer.
    pub const fn from_columns(generation: i64, n: i64) -> Self {
        Self { generation: generation.cast_unsigned(), n: n.cast_unsigned() }
    }

    /// Returns the next position in the same generation.
    #[must_use]
    pub fn next(self) -> Self {
        Self { generation: self.generation, n: self.n + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.n)
    }
}

/// The position of a record in the log of a partition. Written `generation-n/item`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPosition {
    /// The position of its entry.
    pub position: Position,
    /// Its number in the entry, from 0.
    pub item: u32,
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.position, self.item)
    }
}

impl FromStr for RecordPosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(position, item)| {
            Some(Self { position: position.parse().ok()?, item: item.parse().ok()? })
        });
        parsed.ok_or_else(|| PositionError(excerpt(text)))
    }
}

/// The error for a text that is not a position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position, which is written `generation-n` as in `1700000000000-5`: {0}")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
        };
        text.split_once('-')
            .and_then(|(generation, n)| Some(Self { generation: number(generation)?, n: number(n)? }))
            .ok_or_else(|| PositionError(excerpt(text)))
    }
}

#[cfg(test)]
mod tests;
