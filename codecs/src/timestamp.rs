//! From what devices write to a [`Timestamp`]: RFC 3339 text, or the time since the epoch as a number.
//!
//! Both are read digit by digit, never through a floating-point number, and both are truncated to whole microseconds,
//! which within the accepted years means towards the past.

use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

/// Why something is not a usable time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text is not RFC 3339, or names a date or an hour that does not exist.
    #[error(
        "not a time: {0}; send RFC 3339 as in 2026-11-22T10:00:00.000000Z, or the time since 1970 as a number"
    )]
    NotATime(String),
    /// The text says neither `Z` nor an offset from UTC.
    #[error("the time {0} has no offset; end it with Z or an offset from UTC as in +01:00")]
    NoOffset(String),
    /// The time lies outside the years 1970 to 2262.
    #[error("the time {0} is out of range; times from 1970 to 2262 are accepted")]
    OutOfRange(String),
}

/// First second of the year 2263, from which on nanoseconds leave 64 bits behind.
const END_SECONDS: i64 = 9_246_182_400;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Reads RFC 3339 with any offset. `T` may be lower case or a space, `Z` lower case. A leap second counts as the first
/// second of the next day, as POSIX has it.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, TimestampError> {
    let bytes = text.as_bytes();
    let parts = DateAndTime::read(bytes).ok_or_else(|| TimestampError::NotATime(excerpt(text)))?;
    if parts.rest.is_empty() {
        return Err(TimestampError::NoOffset(excerpt(text)));
    }
    let offset = offset_seconds(parts.rest).ok_or_else(|| TimestampError::NotATime(excerpt(text)))?;
    let seconds = parts.seconds - offset;
    if parts.leap && seconds % SECONDS_PER_DAY != 0 {
        return Err(TimestampError::NotATime(excerpt(text)));
    }
    if !(0..END_SECONDS).contains(&seconds) {
        return Err(TimestampError::OutOfRange(excerpt(text)));
    }
    Ok(Timestamp(seconds * MICROS_PER_SECOND + parts.micros))
}

/// Date and time of day as written, before the offset is applied.
struct DateAndTime<'a> {
    /// Seconds since the epoch if the offset is zero.
    seconds: i64,
    micros: i64,
    /// Whether the second was written as 60.
    leap: bool,
    /// What follows: the offset.
    rest: &'a [u8],
}

impl<'a> DateAndTime<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<19>()?;
        let punctuation = [head[4], head[7], head[10], head[13], head[16]];
        if !matches!(punctuation, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
            return None;
        }
        let year = digits(&head[0..4])?;
        let month = digits(&head[5..7])?;
        let day = digits(&head[8..10])?;
        let hour = digits(&head[11..13])?;
        let minute = digits(&head[14..16])?;
        let second = digits(&head[17..19])?;
        let exists = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !exists {
            return None;
        }
        let (micros, rest) = fraction(rest)?;
        let seconds =
            days_since_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
        Some(Self { seconds, micros, leap: second == 60, rest })
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Microseconds of `.123456789…`, later digits dropped, and what follows; 0 where there is no fraction.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after_point) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let length = after_point.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let (written, rest) = after_point.split_at(length);
    let kept = written.len().min(6);
    let micros = digits(&written[..kept])? * 10_i64.pow(6 - kept as u32);
    Some((micros, rest))
}

/// Seconds that local time is ahead of UTC.
fn offset_seconds(bytes: &[u8]) -> Option<i64> {
    match bytes {
        b"Z" | b"z" => Some(0),
        &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[h1, h2]).filter(|hours| *hours < 24)?;
            let minutes = digits(&[m1, m2]).filter(|minutes| *minutes < 60)?;
            let seconds = hours * 3_600 + minutes * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the years 0 to 9999 (Howard Hinnant's `days_from_civil`).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March, so that a leap day is the last of its year.
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Reads a JSON number as the time since the epoch, its unit told by its magnitude:
///
/// | magnitude | unit | reaches |
/// |---|---|---|
/// | below 10^11 | seconds | 2262 |
/// | below 10^14 | milliseconds, from 1973-03-03 | 2262 |
/// | below 10^17 | microseconds, from 1973-03-03 | 2262 |
/// | from 10^17 | nanoseconds, from 1973-03-03 | 2262 |
///
/// Fractions and exponents are read exactly; what is finer than a microsecond is dropped.
pub fn parse_epoch(text: &str) -> Result<Timestamp, TimestampError> {
    let number = Decimal::read(text.as_bytes()).ok_or_else(|| TimestampError::NotATime(excerpt(text)))?;
    let out_of_range = || TimestampError::OutOfRange(excerpt(text));
    if number.is_zero() {
        return Ok(Timestamp(0));
    }
    if number.negative {
        return Err(out_of_range());
    }
    let micros = match number.integer_digits() {
        ..=11 => number.scaled(6),
        12..=14 => number.scaled(3),
        15..=17 => number.scaled(0),
        18..=19 => number.scaled(-3),
        _ => return Err(out_of_range()),
    };
    if micros >= END_SECONDS * MICROS_PER_SECOND {
        return Err(out_of_range());
    }
    Ok(Timestamp(micros))
}

/// A number as it is written: the digits before and after the point, and the exponent.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Exponents beyond this are beyond every time.
    const MAX_EXPONENT: i64 = 10_i64.pow(17);

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let negative = bytes.starts_with(b"-");
        let (integer, rest) = digit_run(&bytes[usize::from(negative)..]);
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => Some(digit_run(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
            None => (&[][..], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => Self::read_exponent(exponent)?,
            _ => return None,
        };
        let leading_zeros = integer.iter().take_while(|digit| **digit == b'0').count();
        (!integer.is_empty()).then_some(Self {
            negative,
            integer: &integer[leading_zeros..],
            fraction,
            exponent,
        })
    }

    fn read_exponent(bytes: &[u8]) -> Option<i64> {
        let (sign, bytes) = match bytes {
            [b'-', rest @ ..] => (-1, rest),
            [b'+', rest @ ..] => (1, rest),
            _ => (1, bytes),
        };
        let (run, rest) = digit_run(bytes);
        if run.is_empty() || !rest.is_empty() {
            return None;
        }
        let size =
            run.iter().fold(0, |size, digit| (size * 10 + i64::from(digit - b'0')).min(Self::MAX_EXPONENT));
        Some(sign * size)
    }

    fn is_zero(&self) -> bool {
        self.integer.iter().chain(self.fraction).all(|digit| *digit == b'0')
    }

    /// How many digits stand before the point once the exponent is applied, leading zeros not counted; negative or zero
    /// for a number below 1. The number is not zero.
    fn integer_digits(&self) -> i64 {
        let leading_zeros = if self.integer.is_empty() {
            self.fraction.iter().take_while(|digit| **digit == b'0').count()
        } else {
            0
        };
        self.integer.len() as i64 + self.exponent - leading_zeros as i64
    }

    /// The number times ten to the power, truncated. The caller makes sure that the result has at most 18 digits.
    fn scaled(&self, power: i64) -> i64 {
        let kept = (self.integer.len() as i64 + self.exponent + power).max(0) as usize;
        let significant = self.integer.iter().chain(self.fraction).map(|digit| i64::from(digit - b'0'));
        significant.chain(std::iter::repeat(0)).take(kept).fold(0, |number, digit| number * 10 + digit)
    }
}

fn digit_run(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests;
