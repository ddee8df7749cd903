//! Points in time, as operators write them and as commands show them.

use chrono::{SecondsFormat, Utc};
use humantime_serde::re::humantime;
use thicket_codecs::TimestampError;
use thicket_codecs::timestamp::parse_rfc3339;
use thicket_schema::Timestamp;

/// Reads a point in time: RFC 3339 with an offset, or a duration before now, such as
/// `90s`, `2h` or `7d`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let error = match parse_exact(text) {
        Ok(time) => return Ok(time),
        Err(error) => error,
    };
    let ago = humantime::parse_duration(text)
        .map_err(|_| format!("{error}, or a duration before now, such as 90s, 2h or 7d"))?;
    let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp((Utc::now().timestamp_micros().saturating_sub(micros)).max(0)))
}

/// Reads a point in time that identifies a row: RFC 3339 only.
pub(crate) fn parse_exact(text: &str) -> Result<Timestamp, String> {
    parse_rfc3339(text).map_err(|error| match error {
        TimestampError::NotATime(text) => {
            format!("not a time: {text}; use RFC 3339, such as 2026-11-22T10:00:00Z")
        }
        error => error.to_string(),
    })
}

/// Shows a time as RFC 3339 in UTC. It has as many digits as [`parse_exact`] needs to read the same
/// time.
pub(crate) fn show(time: Timestamp) -> String {
    time.to_datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_or_as_how_long_ago() {
        assert_eq!(parse("1970-01-01T00:00:01+00:00"), Ok(Timestamp(1_000_000)));
        let ago = Utc::now().timestamp_micros() - parse("2h").unwrap().0;
        assert!((7_140_000_000..7_260_000_000).contains(&ago), "{ago}");
        assert!(parse("yesterday").unwrap_err().contains("2h"));
        assert!(parse_exact("2h").is_err());
    }

    #[test]
    fn a_shown_time_can_be_parsed_again() {
        for micros in [1_795_345_200_000_000, 1_795_345_200_120_000, 1_795_345_200_000_001] {
            let time = Timestamp(micros);
            assert_eq!(parse(&show(time)), Ok(time));
        }
        assert_eq!(show(Timestamp(1_795_345_200_000_000)), "2026-11-22T11:00:00Z");
    }
}
