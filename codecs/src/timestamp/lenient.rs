//! Reads times as devices write them: RFC 3339, the other forms of ISO 8601, epoch numbers as text,
//! and local times in a known zone.

use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::error::TimestampError;
use super::exact::{parse_epoch, parse_rfc3339, rfc3339};

/// The zone in which a device writes times without an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalZone(chrono_tz::Tz);

/// A name that is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database, such as Europe/Berlin")]
pub struct UnknownZone(String);

impl FromStr for LocalZone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }
}

/// Steps back from a local time that does not exist to one that does. No gap reaches so far.
const MAX_GAP_HOURS: i64 = 48;

impl LocalZone {
    /// UTC.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// Converts a local time, written as if it were UTC. Old offsets have seconds, which RFC 3339
    /// cannot write.
    fn to_utc(self, local: Timestamp) -> Option<Timestamp> {
        let offset_seconds = self.offset_at(DateTime::from_timestamp_micros(local.0)?.naive_utc())?;
        let micros = local.0 - i64::from(offset_seconds) * 1_000_000;
        (micros >= 0).then_some(Timestamp(micros))
    }

    /// Returns the offset from UTC at a local time, in seconds. If clocks show the time twice, the
    /// first one counts. If they skip it, the offset before the gap counts: the time moves forward
    /// by the gap.
    fn offset_at(self, local: NaiveDateTime) -> Option<i32> {
        let offset = |local: NaiveDateTime| match self.0.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => {
                Some(offset.fix().local_minus_utc())
            }
            MappedLocalTime::None => None,
        };
        (0..=MAX_GAP_HOURS).find_map(|hours| offset(local.checked_sub_signed(TimeDelta::hours(hours))?))
    }
}

/// Reads a time as devices write it:
///
/// - RFC 3339, with `T`, `_` or blanks between date and time, also with slashes in the date;
/// - offsets `+01:00`, `+0100`, `+01`, `Z`, `UTC` and `GMT`, with blanks before them;
/// - times without seconds, fractions of any length after a point or a comma;
/// - the basic form `20261122T100000Z`, also without the `T`;
/// - a number since the epoch as [`parse_epoch`] reads it, with blanks around it;
/// - without an offset: the local time in `zone`, if there is one.
///
/// Of a local time that occurs twice, the first counts. A local time that clocks skip is moved
/// forward by the gap: 02:30 on the last Sunday of March is 03:30 in Berlin.
pub fn parse_lenient(text: &str, zone: Option<LocalZone>) -> Result<Timestamp, TimestampError> {
    if let Some(time) = rfc3339(text) {
        return Ok(time);
    }
    let trimmed = text.trim();
    let number = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let is_number =
        number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',' | b'-' | b'+' | b'e' | b'E'));
    // A date alone has two signs.
    if is_number && number[..].bytes().filter(|byte| *byte == b'-').count() < 2 && !number.is_empty() {
        return match parse_epoch(&number.replace(',', ".")) {
            // As milliseconds, every number of fourteen digits would lie after the year 2262.
            Err(error) => match parse_parts(text, number, zone) {
                Err(TimestampError::NotATime(_)) => Err(error),
                by_date => by_date,
            },
            by_number => by_number,
        };
    }
    parse_parts(text, trimmed, zone)
}

/// Reads a time that is written as date and time. `text` is what the device sent, `trimmed` the same
/// without blanks around it.
fn parse_parts(text: &str, trimmed: &str, zone: Option<LocalZone>) -> Result<Timestamp, TimestampError> {
    let parts = Parts::read(trimmed).ok_or_else(|| TimestampError::NotATime(excerpt(text)))?;
    let mut normal = parts.date_and_time();
    match (parts.offset, zone) {
        (Some(seconds), _) => push_offset(&mut normal, seconds),
        (None, Some(_)) => normal.push('Z'),
        (None, None) => return Err(TimestampError::NoZone(excerpt(text))),
    }
    let as_written = parse_rfc3339(&normal).map_err(|error| match error {
        TimestampError::OutOfRange(_) => TimestampError::OutOfRange(excerpt(text)),
        _ => TimestampError::NotATime(excerpt(text)),
    })?;
    match zone.filter(|_| parts.offset.is_none()) {
        None => Ok(as_written),
        Some(zone) => zone.to_utc(as_written).ok_or_else(|| TimestampError::OutOfRange(excerpt(text))),
    }
}

fn push_offset(text: &mut String, seconds: i32) {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    // Writing to a string cannot fail.
    let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

/// The parts of a date and time, each checked for its digits only.
struct Parts<'t> {
    date: [&'t str; 3],
    time: [&'t str; 3],
    fraction: &'t str,
    /// The offset from UTC in seconds.
    offset: Option<i32>,
}

impl<'t> Parts<'t> {
    fn read(text: &'t str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let (year, rest) = digits(text, 4)?;
        let date_sign = rest.chars().next().filter(|sign| matches!(sign, '-' | '/'));
        let extended = date_sign.is_some();
        let separator =
            |rest: &'t str, sign: char| if extended { rest.strip_prefix(sign) } else { Some(rest) };
        let date_sign = date_sign.unwrap_or('-');
        let (month, rest) = digits(separator(rest, date_sign)?, 2)?;
        let (day, rest) = digits(separator(rest, date_sign)?, 2)?;
        let rest = match rest.strip_prefix(['T', 't', '_']) {
            Some(rest) => rest,
            None if !extended && digits(rest, 6).is_some() => rest,
            None => rest.strip_prefix(' ')?.trim_start(),
        };
        let (hour, rest) = digits(rest, 2)?;
        let (minute, rest) = digits(separator(rest, ':')?, 2)?;
        let (second, rest) = if extended {
            rest.strip_prefix(':').map_or(Some(("00", rest)), |rest| digits(rest, 2))?
        } else {
            digits(rest, 2).unwrap_or(("00", rest))
        };
        let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
            Some(rest) => {
                let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                digits(rest, length.max(1))?
            }
            None => ("", rest),
        };
        let offset = match rest.trim_start() {
            "" => None,
            offset => Some(read_offset(offset)?),
        };
        Some(Self { date: [year, month, day], time: [hour, minute, second], fraction, offset })
    }

    fn date_and_time(&self) -> String {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.time);
        let point = if self.fraction.is_empty() { "" } else { "." };
        // Digits after the microseconds are dropped anyway.
        let fraction = &self.fraction[..self.fraction.len().min(9)];
        format!("{year}-{month}-{day}T{hour}:{minute}:{second}{point}{fraction}")
    }
}

/// Splits off exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<(&str, &str)> {
    let (head, rest) = text.split_at_checked(count)?;
    head.bytes().all(|byte| byte.is_ascii_digit()).then_some((head, rest))
}

/// Reads `Z`, `UTC`, `GMT`, `+01`, `+0100` or `+01:00`, also after `UTC`, in seconds.
fn read_offset(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let text = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper);
    if text == "Z" || (text.is_empty() && !upper.is_empty()) {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, rest) = digits(rest, 2)?;
    let minutes = match rest.strip_prefix(':').unwrap_or(rest) {
        "" if rest.is_empty() => "00",
        minutes => digits(minutes, 2).filter(|(_, rest)| rest.is_empty())?.0,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests;
