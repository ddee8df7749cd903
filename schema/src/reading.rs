//! A reading: the values that one sensor measured at one time.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::field_set::FieldSet;
use crate::ids::SensorName;

/// A point in time: microseconds since the Unix epoch, the precision of `PostgreSQL`'s
/// `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "postgres",
    derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow),
    diesel(sql_type = diesel::sql_types::Timestamptz)
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Converts to a time of chrono. A time outside the range of chrono becomes the nearest one
    /// inside.
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

/// RFC 3339 in UTC, with as many decimals as needed of 0, 3 or 6: `2026-11-22T10:00:00Z`.
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true))
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
/// There is one value for each name in `fields`, in the same order. Values that `thicket-codecs`
/// has decoded are finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The sensor.
    pub sensor: SensorName,
    /// When it was measured.
    pub ts: Timestamp,
    /// Whether the message had no time, and the engine used the time of arrival.
    pub stamped: bool,
    /// The names of the values.
    pub fields: FieldSet,
    /// The values, in the order of `fields`.
    pub values: Vec<f64>,
}

#[cfg(test)]
mod tests;
