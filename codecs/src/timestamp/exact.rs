//! RFC 3339 text and epoch numbers, read exactly.

use chrono::{DateTime, FixedOffset};
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::error::TimestampError;

/// The first microsecond of the year 2263. From that year on, nanoseconds do not fit in 64 bits.
const END: i64 = 9_246_182_400 * MICROS_PER_SECOND;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// chrono counts a leap second as nanoseconds from here on within the second before it.
const LEAP_NANOS: u32 = 1_000_000_000;

/// Reads RFC 3339 with any offset. `T` may be lower case or a space, `Z` lower case. A leap second
/// counts as the first second of the next day, as POSIX has it; it is accepted at the end of a day
/// in UTC only.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, TimestampError> {
    // chrono also accepts U+2212 as the sign of an offset, which RFC 3339 does not have.
    let time = text.is_ascii().then(|| DateTime::parse_from_rfc3339(text));
    match time {
        Some(Ok(time)) => timestamp_of(time, text),
        Some(Err(_)) if DateTime::parse_from_rfc3339(&format!("{text}Z")).is_ok() => {
            Err(TimestampError::NoOffset(excerpt(text)))
        }
        _ => Err(TimestampError::NotATime(excerpt(text))),
    }
}

/// Reads RFC 3339 as [`parse_rfc3339`] does, without an explanation.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let time = text.is_ascii().then(|| DateTime::parse_from_rfc3339(text).ok())??;
    timestamp_of(time, text).ok()
}

/// Converts a time that was read from `text`.
fn timestamp_of(time: DateTime<FixedOffset>, text: &str) -> Result<Timestamp, TimestampError> {
    let is_leap_second = time.timestamp_subsec_nanos() >= LEAP_NANOS;
    if is_leap_second && (time.timestamp() + 1) % SECONDS_PER_DAY != 0 {
        return Err(TimestampError::NotATime(excerpt(text)));
    }
    let micros = time.timestamp_micros();
    if !(0..END).contains(&micros) {
        return Err(TimestampError::OutOfRange(excerpt(text)));
    }
    Ok(Timestamp(micros))
}

/// Reads a JSON number as the time since the epoch. Its magnitude decides its unit:
///
/// | magnitude | unit | reaches |
/// |---|---|---|
/// | below 10^11 | seconds | 2262 |
/// | below 10^14 | milliseconds, from 1973-03-03 | 2262 |
/// | below 10^17 | microseconds, from 1973-03-03 | 2262 |
/// | from 10^17 | nanoseconds, from 1973-03-03 | 2262 |
///
/// Fractions and exponents are read exactly; digits below a microsecond are dropped.
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
    if micros >= END {
        return Err(out_of_range());
    }
    Ok(Timestamp(micros))
}

/// A decimal number: the digits before and after the point, and the exponent.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Larger exponents are cut to this. A number with such an exponent is out of range or zero.
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

    /// Returns the number of digits before the point after the exponent is applied, without leading
    /// zeros. It is zero or negative for a number below 1. The number must not be zero.
    fn integer_digits(&self) -> i64 {
        let leading_zeros = if self.integer.is_empty() {
            self.fraction.iter().take_while(|digit| **digit == b'0').count()
        } else {
            0
        };
        self.integer.len() as i64 + self.exponent - leading_zeros as i64
    }

    /// Returns the number times ten to the power, truncated. The result must have at most 18
    /// digits.
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
