//! Where in a payload the cause of a dead letter is, as far as its explanation says so.

use thicket_schema::Reason;
use thicket_schema::postgres::DeadLetterRow;

use crate::terminal::on_one_line;

/// Characters of the payload that are shown before and after the place.
const AROUND: usize = 30;

/// The sign before the place.
const MARK: char = '▸';

/// Returns the part of the payload around the cause, with a sign before it. `None` if the place is
/// not known.
pub(super) fn shown(letter: &DeadLetterRow) -> Option<String> {
    let payload = String::from_utf8_lossy(&letter.payload);
    let byte = place(&letter.detail, &letter.reason, &letter.payload, &payload)?;
    let (before, after) = payload.split_at_checked(byte)?;
    let start = before.char_indices().rev().nth(AROUND - 1).map_or(0, |(start, _)| start);
    let end = after.char_indices().nth(AROUND).map_or(after.len(), |(end, _)| end);
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    Some(format!(
        "at byte {byte}: {}{}{MARK}{}{}",
        cut(start > 0),
        on_one_line(&before[start..]),
        on_one_line(&after[..end]),
        cut(end < after.len() || letter.is_cut())
    ))
}

/// Returns the byte of the cause in the payload.
fn place(detail: &str, reason: &str, bytes: &[u8], payload: &str) -> Option<usize> {
    // Line and column count the bytes of the payload itself.
    if payload.len() == bytes.len()
        && let Some(byte) = line_and_column(detail).and_then(|at| byte_at(payload, at))
    {
        return Some(byte);
    }
    if let Some((_, byte)) = detail.split_once("not UTF-8 at byte ") {
        return byte.parse().ok().filter(|&byte| byte <= payload.len());
    }
    let named = named_texts(detail);
    let found = named.iter().find_map(|name| {
        let member = format!("\"{name}\"");
        let places: Vec<usize> = payload.match_indices(&member).map(|(byte, _)| byte).collect();
        // Of two members with one name, the second is one too many.
        let is_second = reason == Reason::DuplicateField.as_str();
        let place = if is_second { places.get(1).or(places.first()) } else { places.first() };
        place.copied().or_else(|| payload.find(name.as_str()))
    });
    found.filter(|&byte| byte < payload.len())
}

/// Returns line and column, both from 1, of a text such as `expected value at line 1 column 8`.
fn line_and_column(detail: &str) -> Option<(usize, usize)> {
    let (_, rest) = detail.rsplit_once("at line ")?;
    let (line, column) = rest.split_once(" column ")?;
    let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?))
}

/// Returns the byte of a line and a column. The parser has read the byte in this column.
fn byte_at(payload: &str, (line, column): (usize, usize)) -> Option<usize> {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(feed) => payload.match_indices('\n').nth(feed)?.0 + 1,
    };
    let byte = start + column.saturating_sub(1);
    (byte <= payload.len() && payload.is_char_boundary(byte)).then_some(byte)
}

/// Returns the texts that an explanation quotes or names, the longest first.
fn named_texts(detail: &str) -> Vec<String> {
    let mut named: Vec<String> = detail
        .split('"')
        .skip(1)
        .step_by(2)
        .chain(detail.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    for before in ["members named ", "the value of "] {
        if let Some((_, rest)) = detail.split_once(before) {
            let end = rest.find([';', ' ']).unwrap_or(rest.len());
            named.push(rest[..end].to_owned());
        }
    }
    // A time as it was written.
    for (before, after) in
        [("not a time: ", "; "), ("the time ", " has no offset"), ("the time ", " is out of range")]
    {
        if let Some((_, rest)) = detail.split_once(before)
            && let Some((time, _)) = rest.split_once(after)
        {
            named.push(time.to_owned());
        }
    }
    // The path of the first member that was left out.
    if let Some((_, rest)) = detail.split_once("no numeric member: ") {
        let path = rest.split(' ').next().unwrap_or_default();
        named.push(path.rsplit('.').next().unwrap_or_default().to_owned());
    }
    named.retain(|name| !name.is_empty() && !name.ends_with('…'));
    named.sort_by_key(|name| std::cmp::Reverse(name.len()));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(detail: &str, reason: Reason, payload: &str) -> Option<usize> {
        place(detail, reason.as_str(), payload.as_bytes(), payload)
    }

    #[test]
    fn the_place_is_that_of_line_and_column_or_of_the_member_that_is_named() {
        let cases = [
            (
                "malformed JSON: expected `:` at line 1 column 8",
                Reason::MalformedJson,
                r#"{"temp"}"#,
                Some(7),
            ),
            (
                "malformed JSON: expected value at line 2 column 6",
                Reason::MalformedJson,
                "{\n\"a\":x}",
                Some(7),
            ),
            ("malformed JSON: not UTF-8 at byte 3", Reason::MalformedJson, "abcdef", Some(3)),
            (
                "the object has two members named a; send each once",
                Reason::DuplicateField,
                r#"{"a":1,"a":2}"#,
                Some(7),
            ),
            (
                "the value of b is not a finite 64-bit float; …",
                Reason::NotFinite,
                r#"{"a":1,"b":1e999}"#,
                Some(7),
            ),
            (
                "bad timestamp: \"yesterday\" is no time",
                Reason::BadTimestamp,
                r#"{"ts":"yesterday"}"#,
                Some(6),
            ),
            (
                "bad timestamp: not a time: soon; send RFC 3339",
                Reason::BadTimestamp,
                r#"{"a":1,"ts":"soon"}"#,
                Some(12),
            ),
            (
                "bad timestamp: the time 2026-11-22 10:00 has no offset; end it with Z",
                Reason::BadTimestamp,
                r#"{"ts":"2026-11-22 10:00"}"#,
                Some(6),
            ),
            (
                "the object has no numeric member: door.state is the text open; mqtt.words gives a word its value",
                Reason::NoNumericField,
                r#"{"door":{"state":"open"}}"#,
                Some(9),
            ),
            ("the payload is empty", Reason::Empty, "", None),
            ("malformed JSON: x at line 9 column 1", Reason::MalformedJson, "{}", None),
        ];
        for (detail, reason, payload, expected) in cases {
            assert_eq!(around(detail, reason, payload), expected, "{detail}: {payload}");
        }
    }
}
