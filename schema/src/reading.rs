//! A reading: what one sensor measured at one time.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::field_set::FieldSet;
use crate::ids::SensorName;

/// A point in time: microseconds since the Unix epoch, the precision of `PostgreSQL`'s `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The same time for chrono; a time beyond chrono's range becomes the nearest that it knows.
    pub fn to_datetime(self) -> DateTime<Utc> {
        let limit = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_micros(self.0).unwrap_or(limit)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

/// RFC 3339 in UTC with six decimals: `2026-11-22T10:00:00.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// One timestamped measurement of one sensor.
///
/// There is one value for each name in `fields`, in the same order. Values that come out of a
/// [`PayloadDecoder`](crate::PayloadDecoder) are finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose measurement it is.
    pub sensor: SensorName,
    /// When it was taken.
    pub ts: Timestamp,
    /// Whether the time is that of arrival, given by the engine because the message carried none.
    pub stamped: bool,
    /// What was measured.
    pub fields: FieldSet,
    /// How much of it.
    pub values: Vec<f64>,
}

/// Bits of the column `flags` of the table `readings`.
pub mod flags {
    /// The detector knew too little of the sensor for a verdict.
    pub const WARMING_UP: i32 = 1;
    /// The detector flagged the reading.
    pub const ANOMALY: i32 = 2;
    /// The reading was not newer than an earlier one of its sensor; stored, but not scored.
    pub const LATE: i32 = 4;
    /// The reading brought its detector down repeatedly; stored, but not scored.
    pub const POISON: i32 = 8;
    /// The timestamp was given by the engine.
    pub const STAMPED: i32 = 16;
    /// Part of an anomaly that a rule of the sensor's configuration holds back.
    pub const SUPPRESSED: i32 = 32;
    /// A field was missing and filled in by what is usual.
    pub const IMPUTED: i32 = 64;
    /// A field repeats itself for far longer than it ever did.
    pub const STUCK: i32 = 128;
    /// The first reading after a silence.
    pub const AFTER_SILENCE: i32 = 256;
    /// An anomaly lasts, and the detector learns but little.
    pub const LEARNING_SLOWED: i32 = 512;
}

#[cfg(test)]
mod tests;
