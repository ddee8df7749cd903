//! Reads a flat JSON object directly into a measurement, without a tree of values in between.
//!
//! This is the fast path. It gives up on everything that needs a closer look (nested members, times
//! that are not plain, errors), and [`walk`](super::walk) starts again from the beginning.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thicket_schema::text::excerpt;
use thicket_schema::{FieldSetError, Timestamp};

use super::error::PayloadError;
use super::shapes::Shapes;
use super::times::Time;
use super::types::Measurement;
use super::walk::{Found, MAX_EXACT};
use super::words::{Meaning, Words};

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
    /// The fields that the slow path finds.
    pub(super) found: Found,
    /// Whether the last object had nested members. The next one has them too, most probably.
    pub(super) expects_nested: bool,
}

impl Scratch {
    fn clear(&mut self) {
        self.names.clear();
        self.current = 0;
        self.values.clear();
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

    fn measurement(&mut self, ts: Option<Timestamp>) -> Result<Measurement, PayloadError> {
        let (fields, values) = self.shapes.sort(&self.names, &self.values)?;
        Ok(Measurement { device: None, offset_micros: 0, ts, fields, values, labels: Vec::new() })
    }

    /// Returns the measurement of the fields that the slow path found.
    pub(super) fn walked(&mut self, ts: Option<Timestamp>) -> Result<Measurement, PayloadError> {
        let sorted = self.shapes.sort(&self.found.names, &self.found.values);
        let (fields, values) = sorted.map_err(|error| match self.found.name_with_line_feed() {
            Some(name) => FieldSetError::ControlCharacter { character: '\n', name: excerpt(name) }.into(),
            None => error,
        })?;
        Ok(Measurement { device: None, offset_micros: 0, ts, fields, values, labels: Vec::new() })
    }

    /// Returns the measurement of a payload that is only a value.
    pub(super) fn bare(&mut self, value: f64) -> Result<Measurement, PayloadError> {
        self.clear();
        self.begin_field("value");
        self.values.push(value);
        self.measurement(None)
    }
}

/// What the fast path applies to an object.
#[derive(Clone, Copy)]
pub(super) struct FlatRules<'r> {
    pub(super) timestamp_keys: &'r [String],
    pub(super) max_fields: usize,
    pub(super) time_floor: Timestamp,
    pub(super) words: &'r Words,
}

/// Reads a flat object from a text that begins with `{`; `None` if it needs a closer look.
pub(super) fn read(scratch: &mut Scratch, text: &str, rules: FlatRules<'_>) -> Option<Measurement> {
    scratch.clear();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let time = deserializer.deserialize_map(ObjectVisitor { scratch, rules }).ok()?;
    deserializer.end().ok()?;
    let ts = match time {
        None => None,
        Some(json) => Some(Time::plain(json, rules.time_floor)?),
    };
    scratch.measurement(ts).ok()
}

struct ObjectVisitor<'a> {
    scratch: &'a mut Scratch,
    rules: FlatRules<'a>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    /// The JSON text of the timestamp, if the object has one.
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self { scratch, rules: FlatRules { timestamp_keys, max_fields, words, .. } } = self;
        let mut time: Option<(usize, &'de str)> = None;
        while let Some(key) = members.next_key_seed(KeySeed { scratch: &mut *scratch, timestamp_keys })? {
            match key {
                Key::Time(rank) => {
                    let raw: &'de RawValue = members.next_value()?;
                    match time {
                        Some((best, _)) if best == rank => return Err(give_up()),
                        Some((best, _)) if best < rank => {}
                        _ => time = Some((rank, raw.get())),
                    }
                }
                Key::Field => match members.next_value_seed(ValueSeed { words })? {
                    None => scratch.drop_field(),
                    Some(_) if scratch.values.len() == max_fields => return Err(give_up()),
                    Some(value) => scratch.values.push(value),
                },
            }
        }
        Ok(time.map(|(_, json)| json))
    }
}

/// Leaves the object to the slow path.
#[cold]
#[inline(never)]
fn give_up<E: Error>() -> E {
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

/// Reads a number, a boolean, or a text that stands for a number; `None` for other scalars.
struct ValueSeed<'a> {
    words: &'a Words,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Option<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<f64>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<f64>, E> {
        // It may be written as a whole number, which was rounded.
        if value.abs() >= MAX_EXACT as f64 { Err(give_up()) } else { Ok(Some(value)) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<f64>, E> {
        if value.unsigned_abs() > MAX_EXACT { Err(give_up()) } else { Ok(Some(value as f64)) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<f64>, E> {
        if value > MAX_EXACT { Err(give_up()) } else { Ok(Some(value as f64)) }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<f64>, E> {
        Ok(Some(f64::from(u8::from(value))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<f64>, E> {
        match self.words.meaning(text) {
            Meaning::Number(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    fn visit_unit<E>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Option<f64>, A::Error> {
        Err(give_up())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Option<f64>, A::Error> {
        Err(give_up())
    }
}
