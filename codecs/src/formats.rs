//! The formats of payloads, and which format a payload has.
//!
//! | format | recognised by |
//! |---|---|
//! | JSON | everything that the JSON decoder reads |
//! | `SenML` | an array of records that RFC 8428 explains and plain JSON does not |
//! | line protocol | text that is not JSON, and whose first line follows the rules |
//! | CBOR, `MessagePack` | not text; the whole payload is one map or array with texts as keys |
//! | gzip, zstd around any of them | the first bytes |
//!
//! Everything else is refused; if the format is known by its first bytes or its structure, by name.
//!
//! # Parts
//!
//! - `compression`: removes gzip and zstd.
//! - `transcode`: rewrites CBOR and `MessagePack` as JSON.
//! - `senml`, `line_protocol`: decode these formats; `rows` joins their values to measurements.
//! - `signatures`: names the formats that are not read.

use serde::{Deserialize, Serialize};
use thicket_schema::Timestamp;

use crate::payload::{Measurement, PayloadDecoder, PayloadError, PayloadLimits, PayloadRules};
use senml::{Encoding, Pack};
use transcode::Json;

mod compression;
mod content_type;
mod line_protocol;
mod rows;
mod senml;
mod signatures;
mod transcode;

/// The format of the payloads of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Each payload is recognised by its content.
    #[default]
    Auto,
    /// JSON: an object, an array of objects, or a number.
    Json,
    /// `SenML` (RFC 8428), as JSON or CBOR.
    Senml,
    /// CBOR (RFC 8949): a map, an array of maps, a number, or `SenML`.
    Cbor,
    /// `MessagePack`: a map, an array of maps, or a number.
    Messagepack,
    /// Line protocol of `InfluxDB`.
    LineProtocol,
}

impl Format {
    /// Returns the payload with its arrival as the time of the readings without a time, for a
    /// message that is published again. `None` if the payload is not `SenML` as JSON or line
    /// protocol.
    pub fn with_arrival_time(self, payload: &[u8], arrival: Timestamp) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(payload).ok()?;
        let pack = match self {
            Self::Auto => Pack::recognise(text, Encoding::Json),
            Self::Senml => Pack::parse(text, Encoding::Json).ok(),
            _ => None,
        };
        if let Some(pack) = pack {
            return Some(pack.with_base_time(arrival).map_or_else(|| payload.to_vec(), String::into_bytes));
        }
        let is_lines = match self {
            Self::Auto => line_protocol::is_line_protocol(text),
            format => format == Self::LineProtocol,
        };
        is_lines.then(|| line_protocol::with_time(text, arrival).into_bytes())
    }
}

/// What became of a binary payload in one format.
struct Recognised {
    outcome: Outcome,
    /// Whether the payload is a map or an array, and has texts as keys. A short message of another
    /// format can be, by chance, a number or a map from integers to numbers.
    is_certain: bool,
}

type Outcome = Result<Vec<Result<Measurement, PayloadError>>, PayloadError>;

/// Decodes payloads of every format.
#[derive(Debug)]
pub struct FormatDecoder {
    format: Format,
    limits: PayloadLimits,
    json: PayloadDecoder,
    /// For JSON text that is made of a shorter binary payload.
    transcoded: PayloadDecoder,
}

impl FormatDecoder {
    /// Creates a decoder. Limits and timestamp keys are those of [`PayloadDecoder::new`]. The limit
    /// of bytes holds for a compressed payload, and for what it expands to.
    pub fn new(format: Format, limits: PayloadLimits, timestamp_keys: Vec<String>) -> Self {
        let unbounded = PayloadLimits { max_bytes: usize::MAX, ..limits.clone() };
        Self {
            format,
            json: PayloadDecoder::new(limits.clone(), timestamp_keys.clone()),
            transcoded: PayloadDecoder::new(unbounded, timestamp_keys),
            limits,
        }
    }

    /// Sets the rules for members of objects and for times. `SenML` and line protocol name their fields
    /// and times themselves: the rules do not concern them.
    #[must_use]
    pub fn with_rules(mut self, rules: &PayloadRules) -> Self {
        self.json = self.json.with_rules(rules.clone());
        self.transcoded = self.transcoded.with_rules(rules.clone());
        self
    }

    /// Decodes a payload that was published on a topic.
    ///
    /// An outer error means that no part of the message is usable. An inner error is that of one
    /// part of the message.
    pub fn decode(&self, topic: &str, payload: &[u8]) -> Outcome {
        self.decode_as(None, topic, payload)
    }

    /// Decodes a payload with the MIME type that its sender says it has. The type counts if the
    /// format is [`Format::Auto`]. A payload that is not of its type is recognised by its content.
    pub fn decode_as(&self, content_type: Option<&str>, topic: &str, payload: &[u8]) -> Outcome {
        let limit = self.limits.max_bytes;
        if payload.len() > limit {
            return Err(PayloadError::TooLarge { bytes: payload.len(), limit });
        }
        let payload = compression::unwrap(payload, limit)?;
        let named = content_type.filter(|_| self.format == Format::Auto).and_then(content_type::format);
        let outcome = match named.map(|format| self.decode_format(format, topic, &payload)) {
            None | Some(Err(PayloadError::Malformed { .. } | PayloadError::MalformedJson { .. })) => {
                self.decode_format(self.format, topic, &payload)
            }
            Some(outcome) => outcome,
        };
        outcome.map_err(|error| match error {
            PayloadError::Malformed { .. } | PayloadError::MalformedJson { .. } => {
                let named = signatures::by_topic(topic).or_else(|| signatures::by_magic(&payload));
                named.map_or(error, |looks_like| PayloadError::UnknownFormat { looks_like })
            }
            error => error,
        })
    }

    fn decode_format(&self, format: Format, topic: &str, payload: &[u8]) -> Outcome {
        match format {
            Format::Auto => self.recognise(topic, payload),
            Format::Json => self.json.decode(payload),
            Format::Senml => self.senml(payload),
            Format::Cbor => transcode::cbor(payload).and_then(|json| self.of_cbor(&json).outcome),
            Format::Messagepack => {
                transcode::messagepack(payload).and_then(|json| self.of_json(&json).outcome)
            }
            Format::LineProtocol => line_protocol::decode(payload, &self.limits),
        }
    }

    fn recognise(&self, topic: &str, payload: &[u8]) -> Outcome {
        let text = std::str::from_utf8(payload).ok();
        let begins_as_text =
            payload.first().is_none_or(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        if text.is_none() && !begins_as_text {
            return self.recognise_binary(topic, payload);
        }
        if let Some(pack) = text.and_then(|text| Pack::recognise(text, Encoding::Json)) {
            return pack.decode(&self.limits);
        }
        let outcome = self.json.decode(payload);
        if !matches!(outcome, Err(PayloadError::MalformedJson { .. })) {
            return outcome;
        }
        if text.is_some_and(line_protocol::is_line_protocol) {
            return line_protocol::decode(payload, &self.limits);
        }
        unless_named(topic, payload).and(outcome)
    }

    fn recognise_binary(&self, topic: &str, payload: &[u8]) -> Outcome {
        if let Some(looks_like) = signatures::by_topic(topic) {
            return Err(PayloadError::UnknownFormat { looks_like });
        }
        let of_messagepack = transcode::messagepack(payload).ok().map(|json| self.of_json(&json));
        let of_cbor = transcode::cbor(payload).ok().map(|json| self.of_cbor(&json));
        // A payload may be valid in both formats. The one that gives a measurement is meant.
        let mut candidates: Vec<Recognised> = [of_messagepack, of_cbor].into_iter().flatten().collect();
        candidates.sort_by_key(|candidate| !(candidate.is_certain && has_measurement(&candidate.outcome)));
        if let Some(candidate) = candidates.into_iter().find(|candidate| candidate.is_certain) {
            return candidate.outcome;
        }
        unless_named(topic, payload)?;
        // Text with a foreign byte at its beginning may still be read.
        self.json.decode(payload).map_err(|error| unknown_binary(payload, error))
    }

    /// Decodes a `MessagePack` payload that was rewritten as JSON.
    fn of_json(&self, json: &Json) -> Recognised {
        let is_container = json.text.starts_with(['{', '[']);
        Recognised {
            outcome: self.transcoded.decode(json.text.as_bytes()),
            is_certain: is_container && !json.has_integer_keys,
        }
    }

    /// Decodes a CBOR payload that was rewritten as JSON.
    fn of_cbor(&self, json: &Json) -> Recognised {
        match Pack::recognise(&json.text, Encoding::Cbor) {
            Some(pack) => Recognised { outcome: pack.decode(&self.limits), is_certain: true },
            None => self.of_json(json),
        }
    }

    fn senml(&self, payload: &[u8]) -> Outcome {
        let first = payload.trim_ascii_start().first();
        let pack = match (first, std::str::from_utf8(payload)) {
            (None, _) => return Err(PayloadError::Empty),
            (Some(b'[' | b'{'), Ok(text)) => Pack::parse(text, Encoding::Json),
            _ => transcode::cbor(payload).and_then(|json| Pack::parse(&json.text, Encoding::Cbor)),
        };
        pack?.decode(&self.limits)
    }
}

fn has_measurement(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|elements| elements.iter().any(Result::is_ok))
}

/// Fails with the name of the payload's format, if the format is recognised.
fn unless_named(topic: &str, payload: &[u8]) -> Result<(), PayloadError> {
    let named = signatures::by_topic(topic)
        .or_else(|| signatures::by_magic(payload))
        .or_else(|| signatures::by_structure(payload));
    named.map_or(Ok(()), |looks_like| Err(PayloadError::UnknownFormat { looks_like }))
}

/// The error of a payload that is not text and has no known format. Without a hint of a format it is the JSON
/// error: a damaged message is no message of another format.
fn unknown_binary(payload: &[u8], json: PayloadError) -> PayloadError {
    let Some(0x80..=0xbf | 0xdc..=0xdf) = payload.first() else { return json };
    let begin: Vec<String> = payload.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let looks_like = format!(
        "CBOR or MessagePack that is cut, damaged or has no texts as keys (name it in mqtt.format \
         to see the error), or unknown binary data (it begins with {})",
        begin.join(" ")
    );
    PayloadError::UnknownFormat { looks_like }
}

#[cfg(test)]
mod tests;
