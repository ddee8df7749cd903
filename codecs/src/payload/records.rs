//! Reads the records of a `SenML` pack that is not clean JSON. It is as lenient as the walk: a wrong
//! escape costs its member only, and a bare word as a measurement its record only.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::labels::members;
use super::lists;
use super::scan::Scanner;
use super::source::{Source as _, Token};
use super::times::unquoted;

/// The members with a measurement.
const MEASUREMENTS: [&str; 2] = ["v", "s"];

/// Reads an object, or each object of an array. `None` if the text is something else.
pub(crate) fn records(text: &str) -> Option<Vec<Map<String, Value>>> {
    let objects =
        if text.starts_with('{') { vec![whole(text)?] } else { lists::array(text, |_| true).ok()? };
    objects.into_iter().map(record).collect()
}

/// Returns the text if it is one value: what follows an object must not be lost.
fn whole(text: &str) -> Option<&str> {
    let mut scanner = Scanner::new(text);
    scanner.skip(|_| true).ok()?;
    scanner.end().ok()?;
    Some(text)
}

fn record(object: &str) -> Option<Map<String, Value>> {
    let members = members(object)?.into_iter();
    let member = |(name, json): (Cow<'_, str>, _)| {
        let value = value(&name, json);
        (name.into_owned(), value)
    };
    Some(members.map(member).collect())
}

/// A value that is not JSON stays as it is written, so that it is refused where it counts. A bare
/// word without a value is `null` as a measurement. Elsewhere it is an array, which no member may be:
/// a time or a name must not count as absent.
fn value(name: &str, json: &str) -> Value {
    match Scanner::new(json).token() {
        Ok(Token::Quoted(quoted)) => Value::String(unquoted(quoted).into_owned()),
        Ok(Token::Bare(word)) if has_no_value(word) && MEASUREMENTS.contains(&name) => Value::Null,
        Ok(Token::Bare(word)) if has_no_value(word) => Value::Array(Vec::new()),
        _ => serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned())),
    }
}

/// Whether a bare word is Python's `None`, or a number that is not finite.
fn has_no_value(word: &str) -> bool {
    word == "None" || word.parse().is_ok_and(|number: f64| !number.is_finite())
}
