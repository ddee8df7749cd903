//! Decides the time of a reading from the members under the timestamp keys.

use std::borrow::Cow;

use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::error::PayloadError;
use super::left_out::LeftOutReason;
use super::rules::{OnBadTime, PayloadRules};
use super::source::Token;
use super::words::{Meaning, Words};
use crate::timestamp::{TimestampError, parse_epoch, parse_lenient, parse_rfc3339};

/// What a member under a timestamp key holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Time {
    At(Timestamp),
    /// The device does not know the time.
    None,
    Bad(TimestampError),
}

impl Time {
    /// Reads a plain time: RFC 3339 or a number since the epoch, not before the floor. `None` if
    /// the slow path must look.
    pub(super) fn plain(json: &str, floor: Timestamp) -> Option<Timestamp> {
        let time = match json.strip_prefix('"') {
            None => parse_epoch(json),
            Some(quoted) => parse_rfc3339(quoted.strip_suffix('"')?),
        };
        time.ok().filter(|time| *time >= floor)
    }

    pub(super) fn read(token: Token<'_>, rules: &PayloadRules, words: &Words) -> Self {
        match token {
            Token::Null => Self::None,
            Token::Number(number) => Self::of_number(number, rules),
            // The same texts as in JSON.
            Token::Float(number) => Self::of_json(&number, rules),
            Token::Unsigned(number) => Self::of_json(&number, rules),
            Token::Signed(number) => Self::of_json(&number, rules),
            Token::Quoted(quoted) => Self::of_text(&unquoted(quoted), rules, words),
            Token::Text(text) => Self::of_text(text, rules, words),
            Token::Bare(word) if words.meaning(word) == Meaning::Missing => Self::None,
            Token::Bare(word) => Self::not_a_time(word),
            Token::Bool(value) => Self::not_a_time(if value { "true" } else { "false" }),
            Token::Object => Self::not_a_time("an object"),
            Token::Array => Self::not_a_time("an array"),
        }
    }

    fn of_json(number: &impl Serialize, rules: &PayloadRules) -> Self {
        match serde_json::to_string(number) {
            Ok(text) => Self::of_number(&text, rules),
            Err(_) => Self::not_a_time("a number"),
        }
    }

    /// Reads a JSON number. One of fourteen digits is a date and a time.
    fn of_number(number: &str, rules: &PayloadRules) -> Self {
        Self::from_parsed(parse_lenient(number, rules.time_zone), number, rules)
    }

    fn of_text(text: &str, rules: &PayloadRules, words: &Words) -> Self {
        if words.meaning(text) == Meaning::Missing {
            return Self::None;
        }
        Self::from_parsed(parse_lenient(text, rules.time_zone), text, rules)
    }

    fn not_a_time(text: &str) -> Self {
        Self::Bad(TimestampError::NotATime(excerpt(text)))
    }

    fn from_parsed(parsed: Result<Timestamp, TimestampError>, text: &str, rules: &PayloadRules) -> Self {
        match parsed {
            Ok(time) if time < rules.time_floor => Self::None,
            Ok(time) => Self::At(time),
            Err(_) if is_zero_date(text) => Self::None,
            Err(TimestampError::OutOfRange(_)) if is_before_the_epoch(text) => Self::None,
            // A local time without a zone: its date tells that the clock is not set.
            Err(TimestampError::NoZone(_))
                if parse_lenient(&format!("{}Z", text.trim()), None)
                    .is_ok_and(|time| time.0 + MICROS_OF_A_DAY < rules.time_floor.0) =>
            {
                Self::None
            }
            Err(error) => Self::Bad(error),
        }
    }
}

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// Whether the date of a text is all zeros, as devices write it whose clock is not set.
fn is_zero_date(text: &str) -> bool {
    ["0000-00-00", "0000/00/00", "00000000T"].iter().any(|date| text.trim().starts_with(date))
}

/// Whether a time that is out of range is a negative number, or a date of 1970 or before.
fn is_before_the_epoch(text: &str) -> bool {
    let text = text.trim();
    let is_year = |year: &str| year.bytes().all(|byte| byte.is_ascii_digit()) && year <= "1970";
    let is_fourteen_digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = is_fourteen_digits || text.contains([':', 'T', 't']);
    text.starts_with('-') || (is_date && text.get(..4).is_some_and(is_year))
}

/// Returns the content of a quoted text. If its escapes are wrong, it stays as it is written.
pub(super) fn unquoted(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The members under timestamp keys, one per key at most.
#[derive(Default)]
pub(super) struct Times {
    found: Vec<(usize, Time)>,
}

impl Times {
    pub(super) fn clear(&mut self) {
        self.found.clear();
    }

    /// Adds the member under the key of this rank. A key may occur twice only if it holds a time
    /// once at most. Returns whether that is so.
    #[must_use]
    pub(super) fn add(&mut self, rank: usize, time: Time) -> bool {
        match self.found.iter_mut().find(|(other, _)| *other == rank) {
            None => self.found.push((rank, time)),
            Some((_, earlier)) if *earlier == Time::None => *earlier = time,
            Some(_) if time == Time::None => {}
            Some(_) => return false,
        }
        true
    }

    /// Returns the time of the reading: that of the first key of the list that holds one. `None`
    /// means its arrival. `report` is told which keys did not give the time.
    pub(super) fn decide(
        &mut self,
        on_bad_time: OnBadTime,
        mut report: impl FnMut(usize, LeftOutReason),
    ) -> Result<Option<Timestamp>, PayloadError> {
        self.found.sort_by_key(|(rank, _)| *rank);
        let mut chosen = None;
        let mut first_error = None;
        for (rank, time) in self.found.drain(..) {
            match time {
                Time::At(time) if chosen.is_none() => chosen = Some(time),
                Time::At(_) => report(rank, LeftOutReason::OtherTime),
                Time::None => report(rank, LeftOutReason::NoTime),
                Time::Bad(error) => {
                    report(rank, LeftOutReason::BadTime(error.clone()));
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if chosen.is_none() && on_bad_time == OnBadTime::Refuse => Err(error.into()),
            _ => Ok(chosen),
        }
    }
}

#[cfg(test)]
mod tests;
