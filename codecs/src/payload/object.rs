//! Reads a JSON object directly into a measurement, without a tree of values in between.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::error::PayloadError;
use super::shapes::Shapes;
use super::types::Measurement;
use crate::timestamp::{TimestampError, parse_epoch, parse_rfc3339};

/// State that is reused from one object to the next: the known shapes, and buffers of the right
/// size.
#[derive(Default)]
pub(super) struct Scratch {
    shapes: Shapes,
    /// Names of the fields so far, in the order of the object, joined by line feeds.
    names: String,
    /// Index in `names` of the field that is being read, including its line feed.
    current: usize,
    /// One value per name, except while a member is being read.
    values: Vec<f64>,
    /// The error, if the JSON is valid and the object is not.
    problem: Option<PayloadError>,
}

impl Scratch {
    fn clear(&mut self) {
        self.names.clear();
        self.current = 0;
        self.values.clear();
        self.problem = None;
    }

    fn begin_field(&mut self, name: &str) {
        self.current = self.names.len();
        if !self.values.is_empty() {
            self.names.push('\n');
        }
        self.names.push_str(name);
    }

    fn drop_field(&mut self) {
        self.names.truncate(self.current);
    }

    fn current_name(&self) -> String {
        let name = &self.names[self.current..];
        excerpt(if self.values.is_empty() { name } else { name.trim_start_matches('\n') })
    }

    fn measurement(&mut self, ts: Option<Timestamp>) -> Result<Measurement, PayloadError> {
        let (fields, values) = self.shapes.sort(&self.names, &self.values)?;
        Ok(Measurement { device: None, offset_micros: 0, ts, fields, values })
    }

    /// Returns the measurement of a payload that is only a number.
    pub(super) fn bare(&mut self, value: f64) -> Result<Measurement, PayloadError> {
        self.clear();
        self.begin_field("value");
        if !value.is_finite() {
            return Err(PayloadError::NotFinite { field: self.current_name() });
        }
        self.values.push(value);
        self.measurement(None)
    }
}

/// Reads an object from a text that begins with `{`.
pub(super) fn read(
    scratch: &mut Scratch,
    text: &str,
    timestamp_keys: &[String],
    max_fields: usize,
) -> Result<Measurement, PayloadError> {
    scratch.clear();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor = ObjectVisitor { scratch, timestamp_keys, max_fields };
    let parsed = deserializer.deserialize_map(visitor).and_then(|time| deserializer.end().map(|()| time));
    match parsed {
        Ok(time) => {
            let ts = time.map(parse_time).transpose()?;
            scratch.measurement(ts)
        }
        Err(error) => Err(scratch.problem.take().unwrap_or_else(|| explain(scratch, &error))),
    }
}

/// Turns an error of `serde_json` into one of ours. Only the text of its error tells a number
/// beyond the range of a float from malformed JSON.
fn explain(scratch: &Scratch, error: &serde_json::Error) -> PayloadError {
    if error.to_string().starts_with("number out of range") {
        return PayloadError::NotFinite { field: scratch.current_name() };
    }
    PayloadError::malformed(error)
}

/// Parses the JSON text of the timestamp member.
fn parse_time(json: &str) -> Result<Timestamp, PayloadError> {
    let Some(quoted) = json.strip_prefix('"') else {
        return Ok(parse_epoch(json)?);
    };
    match quoted.strip_suffix('"') {
        Some(text) if !text.contains('\\') => Ok(parse_rfc3339(text)?),
        _ => {
            let text: String =
                serde_json::from_str(json).map_err(|_| TimestampError::NotATime(excerpt(json)))?;
            Ok(parse_rfc3339(&text)?)
        }
    }
}

struct ObjectVisitor<'a> {
    scratch: &'a mut Scratch,
    timestamp_keys: &'a [String],
    max_fields: usize,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    /// The JSON text of the timestamp, if the object has one.
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self { scratch, timestamp_keys, max_fields } = self;
        let mut time: Option<(usize, &'de str)> = None;
        while let Some(key) = members.next_key_seed(KeySeed { scratch: &mut *scratch, timestamp_keys })? {
            match key {
                Key::Time(rank) => {
                    let raw: &'de RawValue = members.next_value()?;
                    match time {
                        Some((best, _)) if best == rank => {
                            let field = excerpt(&timestamp_keys[rank]);
                            return Err(stop(scratch, PayloadError::DuplicateField { field }));
                        }
                        Some((best, _)) if best < rank => {}
                        _ => time = Some((rank, raw.get())),
                    }
                }
                Key::Field => match members.next_value_seed(ValueSeed)? {
                    None => scratch.drop_field(),
                    Some(_) if scratch.values.len() == max_fields => {
                        return Err(stop(scratch, PayloadError::TooManyFields { limit: max_fields }));
                    }
                    Some(value) => scratch.values.push(value),
                },
            }
        }
        Ok(time.map(|(_, json)| json))
    }
}

/// Ends the parse with an error that is not about the JSON.
fn stop<E: Error>(scratch: &mut Scratch, problem: PayloadError) -> E {
    scratch.problem = Some(problem);
    E::custom("")
}

enum Key {
    /// The timestamp, under the key of this index.
    Time(usize),
    /// A field if its value is a number. Its name is in the scratch.
    Field,
}

struct KeySeed<'a> {
    scratch: &'a mut Scratch,
    timestamp_keys: &'a [String],
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        if let Some(rank) = self.timestamp_keys.iter().position(|timestamp_key| timestamp_key == key) {
            return Ok(Key::Time(rank));
        }
        self.scratch.begin_field(key);
        Ok(Key::Field)
    }
}

/// Reads a number; `None` for any other value.
struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Option<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<f64>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<f64>, E> {
        Ok(Some(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<f64>, E> {
        Ok(Some(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<f64>, E> {
        Ok(Some(value as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<f64>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<f64>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
