//! Why a text or a number is not a usable time.

/// Why a text or a number is not a usable time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text is not RFC 3339, or names a date or an hour that does not exist.
    #[error(
        "not a time: {0}; send RFC 3339 as in 2026-11-22T10:00:00.000000Z, or the time since 1970 as a number"
    )]
    NotATime(String),
    /// The text has neither `Z` nor an offset from UTC.
    #[error("the time {0} has no offset; end it with Z or an offset from UTC as in +01:00")]
    NoOffset(String),
    /// The text is a local time, and no zone is set to read it in.
    #[error(
        "the time {0} has no offset; set mqtt.time_zone to the zone of the device, or end the time with Z or an offset from UTC as in +01:00"
    )]
    NoZone(String),
    /// The time is not in the years 1970 to 2262.
    #[error("the time {0} is out of range; times from 1970 to 2262 are accepted")]
    OutOfRange(String),
}
