//! Rewrites CBOR (RFC 8949) and `MessagePack` as JSON text, so that the rules for JSON hold for them
//! too. The cost is one pass that writes the text, and the pass of the JSON decoder.
//!
//! | source | JSON |
//! |---|---|
//! | NaN, infinities, byte strings, undefined, unknown extensions | `null` |
//! | an integer as the key of a map | its digits, as in `"1"` |
//! | a bignum of up to 128 bits | all its digits |
//! | decimal fraction and bigfloat (tags 4 and 5) | a number |
//! | a time (tag 1; `MessagePack` timestamp) | RFC 3339 text |
//! | any other tag | the value in it |

use std::fmt::{self, Write as _};
use std::io;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, Serialize, de};
use thicket_schema::Timestamp;

use crate::payload::PayloadError;
use crate::timestamp::parse_epoch;

/// Most levels of arrays and maps within each other. The recursion of the decoders stays small.
const MAX_DEPTH: usize = 32;

const TAG_EPOCH: u64 = 1;
const TAG_DECIMAL_FRACTION: u64 = 4;
const TAG_BIGFLOAT: u64 = 5;
/// The extension type of a `MessagePack` timestamp.
const EXTENSION_TIMESTAMP: i8 = -1;

/// Rewrites a CBOR item. The whole payload must be one item.
pub(super) fn cbor(payload: &[u8]) -> Result<Json, PayloadError> {
    let malformed = |detail| PayloadError::Malformed { format: "CBOR", detail };
    let mut rest = payload;
    let json: Json = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
        .map_err(|error| malformed(explain(&error)))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes follow the end of the item", rest.len())));
    }
    Ok(json)
}

fn explain<E: fmt::Debug>(error: &ciborium::de::Error<E>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "the payload ends within an item".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("no valid item at byte {at}"),
        ciborium::de::Error::Semantic(_, detail) => detail.clone(),
        ciborium::de::Error::RecursionLimitExceeded => format!("more than {MAX_DEPTH} levels"),
    }
}

/// Rewrites a `MessagePack` value. The whole payload must be one value.
pub(super) fn messagepack(payload: &[u8]) -> Result<Json, PayloadError> {
    let malformed = |detail| PayloadError::Malformed { format: "MessagePack", detail };
    let mut rest = payload;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(MAX_DEPTH);
    let json = Json::deserialize(&mut deserializer).map_err(|error| malformed(error.to_string()))?;
    drop(deserializer);
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes follow the end of the value", rest.len())));
    }
    Ok(json)
}

/// A value as JSON text.
#[derive(Debug, Default)]
pub(super) struct Json {
    pub(super) text: String,
    /// Whether a map has an integer as a key.
    pub(super) has_integer_keys: bool,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut out = Self::default();
        Value { out: &mut out }.deserialize(deserializer)?;
        Ok(out)
    }
}

/// Appends a value to a JSON text.
struct Value<'a> {
    out: &'a mut Json,
}

impl Value<'_> {
    /// Appends a number or a text in the notation of JSON.
    fn push<T: Serialize + ?Sized, E: Error>(self, value: &T) -> Result<(), E> {
        serde_json::to_writer(Writer(&mut self.out.text), value).map_err(E::custom)
    }

    fn null<E: Error>(self) -> Result<(), E> {
        self.push(&())
    }
}

/// Appends to a text. `serde_json` writes whole characters at once, or parts that are ASCII.
struct Writer<'a>(&'a mut String);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() { self.push(&value) } else { self.null() }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(text)
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        self.null()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.null()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.null()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.out.text.push('[');
        let begin = self.out.text.len();
        loop {
            let end = self.out.text.len();
            if end > begin {
                self.out.text.push(',');
            }
            if elements.next_element_seed(Value { out: &mut *self.out })?.is_none() {
                self.out.text.truncate(end);
                self.out.text.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.out.text.push('{');
        let begin = self.out.text.len();
        loop {
            let end = self.out.text.len();
            if end > begin {
                self.out.text.push(',');
            }
            if members.next_key_seed(Key { out: &mut *self.out })?.is_none() {
                self.out.text.truncate(end);
                self.out.text.push('}');
                return Ok(());
            }
            self.out.text.push(':');
            members.next_value_seed(Value { out: &mut *self.out })?;
        }
    }

    /// A tagged item of CBOR.
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        let (_, item): (de::IgnoredAny, _) = access.variant()?;
        item.tuple_variant(2, Tagged { out: self.out })
    }

    /// An extension of `MessagePack`.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let (kind, data) = <(i8, Bytes)>::deserialize(deserializer)?;
        match extension_time(kind, &data.0) {
            Some(time) => self.push(&time.to_string()),
            None => self.null(),
        }
    }
}

/// Reads the three forms of a `MessagePack` timestamp.
fn extension_time(kind: i8, data: &[u8]) -> Option<Timestamp> {
    if kind != EXTENSION_TIMESTAMP {
        return None;
    }
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let packed = u64::from_be_bytes(data.try_into().ok()?);
            ((packed & 0x3_ffff_ffff) as i64, (packed >> 34) as i64)
        }
        12 => {
            let nanos = u32::from_be_bytes(data[..4].try_into().ok()?);
            (i64::from_be_bytes(data[4..].try_into().ok()?), i64::from(nanos))
        }
        _ => return None,
    };
    Some(Timestamp(seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)?)).filter(|ts| ts.0 >= 0)
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// Appends the item of a CBOR tag.
struct Tagged<'a> {
    out: &'a mut Json,
}

impl<'de> Visitor<'de> for Tagged<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag and its item")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        let incomplete = || A::Error::custom("a tag has no item");
        let tag: u64 = parts.next_element()?.ok_or_else(incomplete)?;
        match tag {
            TAG_DECIMAL_FRACTION => {
                let (exponent, mantissa): (i64, i128) = parts.next_element()?.ok_or_else(incomplete)?;
                write!(self.out.text, "{mantissa}e{exponent}").map_err(A::Error::custom)
            }
            TAG_BIGFLOAT => {
                let (exponent, mantissa): (i64, i128) = parts.next_element()?.ok_or_else(incomplete)?;
                let exponent = exponent.clamp(-4_000, 4_000) as i32;
                // In two steps: the power alone may be outside of the range of a float.
                let value = mantissa as f64 * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2);
                Value { out: self.out }.visit_f64(value)
            }
            TAG_EPOCH => {
                let begin = self.out.text.len();
                parts.next_element_seed(Value { out: &mut *self.out })?.ok_or_else(incomplete)?;
                if let Ok(time) = parse_epoch(&self.out.text[begin..]) {
                    self.out.text.truncate(begin);
                    return Value { out: self.out }.push(&time.to_string());
                }
                Ok(())
            }
            _ => parts.next_element_seed(Value { out: self.out })?.ok_or_else(incomplete),
        }
    }
}

/// Appends the key of a member.
struct Key<'a> {
    out: &'a mut Json,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an integer as the key of a map")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        Value { out: self.out }.push(text)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.out.has_integer_keys = true;
        Value { out: self.out }.push(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.out.has_integer_keys = true;
        Value { out: self.out }.push(&value.to_string())
    }
}

#[cfg(test)]
mod tests;
