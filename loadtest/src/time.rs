//! Times as text: RFC 3339 with microseconds.

use chrono::{DateTime, SecondsFormat, Utc};

/// Formats µs since the Unix epoch, for example as `2026-11-22T10:00:00.000000Z`.
pub(crate) fn format(micros: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Parses RFC 3339 text into µs since the Unix epoch.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .map_err(|error| format!("{text:?} is not a time like 2026-11-22T10:00:00Z: {error}"))
}

/// Returns the wall clock, in µs since the Unix epoch.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        assert_eq!(format(1_795_341_600_000_000), "2026-11-22T10:00:00.000000Z");
        assert_eq!(parse("2026-11-22T10:00:00.000001Z"), Ok(1_795_341_600_000_001));
        assert_eq!(parse("2026-11-22T11:00:00+01:00"), Ok(1_795_341_600_000_000));
        assert!(parse("yesterday").unwrap_err().contains("yesterday"));
    }
}
