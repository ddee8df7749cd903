//! Reads a flat CBOR or `MessagePack` map of plain values, without the text in between. It gives up on
//! everything else, and [`transcode`](super::transcode) starts again from the beginning.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::payload::Scalar;

/// The members of a map.
#[derive(Default)]
pub(super) struct Flat {
    /// Names and texts, one after the other.
    texts: String,
    members: Vec<(Span, Plain)>,
}

/// Where a text lies in `texts`.
#[derive(Clone, Copy)]
struct Span {
    begin: usize,
    end: usize,
}

enum Plain {
    Number(f64),
    Unsigned(u64),
    Signed(i64),
    Bool(bool),
    Text(Span),
    Null,
}

/// Reads a CBOR map that is the whole payload.
pub(super) fn cbor(payload: &[u8]) -> Option<Flat> {
    if !matches!(payload.first(), Some(0xa0..=0xbf)) {
        return None;
    }
    let mut rest = payload;
    let flat = ciborium::de::from_reader_with_recursion_limit(&mut rest, 2).ok()?;
    rest.is_empty().then_some(flat)
}

/// Reads a `MessagePack` map that is the whole payload.
pub(super) fn messagepack(payload: &[u8]) -> Option<Flat> {
    if !matches!(payload.first(), Some(0x80..=0x8f | 0xde | 0xdf)) {
        return None;
    }
    let mut rest = payload;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(4);
    let flat = Flat::deserialize(&mut deserializer).ok()?;
    drop(deserializer);
    rest.is_empty().then_some(flat)
}

impl Flat {
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Scalar<'_>)> {
        let text = |span: Span| self.texts.get(span.begin..span.end).unwrap_or_default();
        self.members.iter().map(move |(name, value)| {
            let value = match value {
                Plain::Number(value) => Scalar::Number(*value),
                Plain::Unsigned(value) => Scalar::Unsigned(*value),
                Plain::Signed(value) => Scalar::Signed(*value),
                Plain::Bool(value) => Scalar::Bool(*value),
                Plain::Text(span) => Scalar::Text(text(*span)),
                Plain::Null => Scalar::Null,
            };
            (text(*name), value)
        })
    }
}

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor)
    }
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Flat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Flat, A::Error> {
        let mut flat = Flat::default();
        while let Some(name) = members.next_key_seed(Name { texts: &mut flat.texts })? {
            let value = members.next_value_seed(Value { texts: &mut flat.texts })?;
            flat.members.push((name, value));
        }
        Ok(flat)
    }
}

fn append(texts: &mut String, text: &str) -> Span {
    let begin = texts.len();
    texts.push_str(text);
    Span { begin, end: texts.len() }
}

struct Name<'a> {
    texts: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        Ok(append(self.texts, text))
    }
}

struct Value<'a> {
    texts: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Plain;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Plain, E> {
        Ok(if value.is_finite() { Plain::Number(value) } else { Plain::Null })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Signed(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Bool(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Plain, E> {
        Ok(Plain::Text(append(self.texts, text)))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }
}
