//! Parses TOML once, into the keys with their values, and the lines of the keys, for the configuration
//! and the presets.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue, Error};

/// A text that is not TOML.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct NotToml {
    /// Name of the text, line and column.
    pub(crate) place: String,
    /// What the parser expected.
    pub(crate) problem: String,
}

/// A text of TOML.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The keys. A key with a problem is left out.
    pub(crate) keys: Dict,
    /// The line of each key and of each element of a list.
    pub(crate) lines: BTreeMap<String, usize>,
    /// The keys whose values no setting can have, each with the problem.
    pub(crate) problems: Vec<(String, String)>,
}

/// Parses a text.
///
/// # Errors
/// Fails if the text is not TOML. The error names line and column.
pub(crate) fn parse(name: &str, text: &str) -> Result<Parsed, NotToml> {
    let table = DeTable::parse(text).map_err(|error| syntax(name, text, &error))?;
    Ok(Parsed::of(table.get_ref(), text))
}

/// Returns the keys of a shipped text.
///
/// # Errors
/// Fails if the text is not TOML.
pub(crate) fn keys_of_toml(name: &str, text: &str) -> Result<Dict, NotToml> {
    parse(name, text).map(|parsed| parsed.keys)
}

/// Returns the table of a text, with the types of the crate `toml`.
///
/// # Errors
/// Fails if the text is not TOML. The error names line and column.
pub(crate) fn table_of(name: &str, text: &str) -> Result<toml::Table, NotToml> {
    text.parse().map_err(|error| syntax(name, text, &error))
}

/// Returns the keys of a text that can be read.
pub(crate) fn readable_keys(text: &str) -> Dict {
    let (table, _) = DeTable::parse_recoverable(text);
    Parsed::of(table.get_ref(), text).keys
}

fn syntax(name: &str, text: &str, error: &Error) -> NotToml {
    let at = error.span().map_or(0, |span| span.start);
    let column = text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    let place = format!("{name}:{}:{column}", line_at(text, at));
    NotToml { place, problem: error.message().to_owned() }
}

impl Parsed {
    fn of(table: &DeTable<'_>, text: &str) -> Self {
        let mut parsed = Self::default();
        parsed.keys = parsed.read_table("", table, text);
        parsed
    }

    fn read_table(&mut self, place: &str, table: &DeTable<'_>, text: &str) -> Dict {
        let mut keys = Dict::new();
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref().to_string();
            let key = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            self.lines.entry(key.clone()).or_insert_with(|| line_at(text, at));
            keys.extend(self.read_value(&key, value, text).map(|value| (name, value)));
        }
        keys
    }

    /// Returns the value; `None` if it has a problem.
    fn read_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, text: &str) -> Option<Value> {
        let read = match value.get_ref() {
            DeValue::Table(table) => Ok(self.read_table(key, table, text).into()),
            DeValue::Array(elements) => Ok(self.read_elements(key, elements.iter(), text).into()),
            DeValue::String(string) => Ok(Value::from(string.to_string())),
            DeValue::Boolean(boolean) => Ok(Value::from(*boolean)),
            DeValue::Integer(integer) => integer_of(integer),
            DeValue::Float(float) => float_of(float),
            DeValue::Datetime(_) => {
                let time = text.get(value.span()).unwrap_or_default();
                Err(format!("is the date or time {time}, but must be a text: write \"{time}\""))
            }
        };
        read.map_err(|problem| self.problems.push((key.to_owned(), problem))).ok()
    }

    fn read_elements<'v, 'i: 'v>(
        &mut self,
        key: &str,
        elements: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
        text: &str,
    ) -> Vec<Value> {
        let mut values = Vec::new();
        for (index, element) in elements.enumerate() {
            let key = format!("{key}[{index}]");
            self.lines.insert(key.clone(), line_at(text, element.span().start));
            values.extend(self.read_value(&key, element, text));
        }
        values
    }
}

fn integer_of(integer: &DeInteger<'_>) -> Result<Value, String> {
    let read = i64::from_str_radix(integer.as_str(), integer.radix());
    read.map(Value::from)
        .map_err(|_| format!("is {integer}, but a whole number lies between {} and {}", i64::MIN, i64::MAX))
}

/// Reads a float as Rust does. One that is beyond the greatest would become infinite.
fn float_of(float: &DeFloat<'_>) -> Result<Value, String> {
    let is_literal = float.as_str().contains("inf");
    let read =
        float.as_str().parse::<f64>().ok().filter(|value| value.is_finite() || value.is_nan() || is_literal);
    read.map(Value::from)
        .ok_or_else(|| format!("is {float}, but a number lies between {:e} and {:e}", f64::MIN, f64::MAX))
}

/// Returns the line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    text[..byte.min(text.len())].matches('\n').count() + 1
}
