//! The formats of payloads, and which format a payload has.
//!
//! | format | recognised by |
//! |---|---|
//! | JSON | everything that the JSON decoder reads |
//! | JSON lines | several lines, of which the first is a JSON object |
//! | `SenML` | an array of records that RFC 8428 explains and plain JSON does not |
//! | line protocol | text that is not JSON, of which a line follows the rules |
//! | CBOR, `MessagePack` | not text; the whole payload is one map or array of maps with texts as keys |
//! | gzip, zstd around any of them | the first bytes |
//! | CSV | not recognised; its columns must be configured |
//!
//! Everything else is refused; if the format is known by its first bytes or its structure, by name.
//!
//! # Parts
//!
//! - `compression`: removes gzip and zstd.
//! - `binary`: reads maps of CBOR and `MessagePack`.
//! - `transcode`: rewrites CBOR and `MessagePack` as JSON, for all that `binary` does not read.
//! - `senml`, `line_protocol`: decode these formats; `rows` joins their values to measurements.
//! - `json_lines`, `separated_values`: decode lines by the rules for JSON.
//! - [`sparkplug`]: decodes Sparkplug B. It has a state, so it is a decoder of its own.
//! - `signatures`: names the formats that are not read.

use serde::{Deserialize, Serialize};
use thicket_schema::Timestamp;

use crate::payload::{
    CsvRules, LeftOut, Measurement, PayloadDecoder, PayloadError, PayloadLimits, PayloadRules, Text,
};
use senml::{Encoding, Pack};
use separated_values::SeparatedValues;
use transcode::Json;

mod binary;
mod compression;
mod content_type;
mod json_lines;
mod line_protocol;
mod rows;
mod senml;
mod separated_values;
mod signatures;
pub mod sparkplug;
mod transcode;

pub use senml::is_senml;

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
    /// A JSON value on each line.
    JsonLines,
    /// Lines of separated values, with the columns of the rules.
    Csv,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "JSON",
            Self::Senml => "SenML",
            Self::Cbor => "CBOR",
            Self::Messagepack => "MessagePack",
            Self::LineProtocol => "line protocol",
            Self::JsonLines => "JSON lines",
            Self::Csv => "CSV",
        })
    }
}

impl Format {
    /// Returns the payload with its arrival as the time of the readings without a time, for a
    /// message that is published again. Times before the floor are no times. `None` if the payload is
    /// not `SenML` as JSON or line protocol.
    pub fn with_arrival_time(self, payload: &[u8], arrival: Timestamp, floor: Timestamp) -> Option<Vec<u8>> {
        let text = Text::of(payload).ok()?;
        let pack = match self {
            Self::Auto => Pack::recognise(&text.text, Encoding::Json),
            Self::Senml => Pack::parse(&text.text, Encoding::Json).ok(),
            _ => None,
        };
        if let Some(pack) = pack {
            let pack = pack.with_names_from(&text).ok()?;
            return Some(
                pack.with_base_time(arrival, floor).map_or_else(|| payload.to_vec(), String::into_bytes),
            );
        }
        if text.replaced.is_some() {
            return None;
        }
        let is_lines = match self {
            Self::Auto => line_protocol::is_line_protocol(&text.text),
            format => format == Self::LineProtocol,
        };
        is_lines.then(|| line_protocol::with_time(&text.text, arrival, floor).into_bytes())
    }
}

/// What a payload holds, and what was left out, for people who set up a device.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The format; `None` if it was not recognised.
    pub format: Option<Format>,
    /// The name of the compression, if the payload is compressed.
    pub compression: Option<&'static str>,
    /// What [`FormatDecoder::decode`] returns.
    pub outcome: Outcome,
    /// The members that are in no reading. Empty for formats without members.
    pub left_out: Vec<LeftOut>,
    /// The member that tells the elements of a JSON array apart, if they have the same fields and
    /// would be readings of one series.
    pub apart: Option<String>,
}

/// What became of a payload, and the format in which it was read.
struct Read {
    format: Option<Format>,
    outcome: Outcome,
}

impl Read {
    const fn of(format: Format, outcome: Outcome) -> Self {
        Self { format: Some(format), outcome }
    }

    const fn unknown(outcome: Outcome) -> Self {
        Self { format: None, outcome }
    }
}

/// The members that are in no reading; `None` if they are not collected.
type Report = Option<Vec<LeftOut>>;

/// What became of a binary payload in one format.
struct Recognised {
    read: Read,
    /// Whether the payload is a map, or an array with one, and has texts as keys. A short message of
    /// another format can be, by chance, a number, a list of numbers or a map from integers to
    /// numbers.
    is_certain: bool,
}

/// The outcome of each part of a message, or the error of the whole message.
pub type Outcome = Result<Vec<Result<Measurement, PayloadError>>, PayloadError>;

/// Decodes payloads of every format.
#[derive(Debug)]
pub struct FormatDecoder {
    format: Format,
    limits: PayloadLimits,
    /// Times of `SenML` and line protocol before this one are no times.
    time_floor: Timestamp,
    json: PayloadDecoder,
    /// For JSON text that is made of a shorter binary payload.
    transcoded: PayloadDecoder,
    /// For JSON objects that are made of lines of separated values.
    rows: PayloadDecoder,
    csv: SeparatedValues,
}

impl FormatDecoder {
    /// Creates a decoder. Limits and timestamp keys are those of [`PayloadDecoder::new`]. The limit
    /// of bytes holds for a compressed payload, and for what it expands to.
    pub fn new(format: Format, limits: PayloadLimits, timestamp_keys: Vec<String>) -> Self {
        let unbounded = PayloadLimits { max_bytes: usize::MAX, ..limits.clone() };
        Self {
            format,
            json: PayloadDecoder::new(limits.clone(), timestamp_keys.clone()),
            transcoded: PayloadDecoder::new(unbounded.clone(), timestamp_keys.clone()),
            rows: PayloadDecoder::new(unbounded, timestamp_keys),
            limits,
            time_floor: PayloadRules::DEFAULT_TIME_FLOOR,
            csv: SeparatedValues::new(CsvRules::default()),
        }
    }

    /// Sets the rules for members of objects and for times. `SenML` and line protocol name their
    /// fields and times themselves: of the rules, only the floor of times concerns them.
    #[must_use]
    pub fn with_rules(mut self, rules: &PayloadRules) -> Self {
        self.json = self.json.with_rules(rules.clone());
        self.transcoded = self.transcoded.with_rules(rules.clone());
        let of_rows = PayloadRules { root: String::new(), device_keys: false, ..rules.clone() };
        self.rows = self.rows.with_rules(of_rows);
        self.csv = SeparatedValues::new(rules.csv.clone());
        self.time_floor = rules.time_floor;
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
        self.read(content_type, topic, payload, &mut None).outcome
    }

    /// Returns whether a payload is a JSON object, compressed or not, without a value at any of
    /// these paths.
    pub fn lacks(&self, payload: &[u8], paths: &[String]) -> bool {
        let limit = self.limits.max_bytes;
        payload.len() <= limit
            && compression::unwrap(payload, limit).is_ok_and(|payload| self.json.lacks(&payload, paths))
    }

    /// Decodes a payload as [`decode`](Self::decode) does, and explains the result. Slower; for
    /// people who set up a device.
    pub fn explain(&self, topic: &str, payload: &[u8]) -> Explanation {
        let mut left_out = Some(Vec::new());
        let Read { format, outcome } = self.read(None, topic, payload, &mut left_out);
        let compression = compression::name(payload);
        let unwrapped = compression::unwrap(payload, self.limits.max_bytes).ok();
        let json = unwrapped.filter(|_| format == Some(Format::Json));
        let apart = json.and_then(|json| self.json.tells_apart(&json, &outcome));
        Explanation { format, compression, outcome, left_out: left_out.unwrap_or_default(), apart }
    }

    fn read(&self, content_type: Option<&str>, topic: &str, payload: &[u8], report: &mut Report) -> Read {
        let limit = self.limits.max_bytes;
        if payload.len() > limit {
            return Read::unknown(Err(PayloadError::TooLarge { bytes: payload.len(), limit }));
        }
        let payload = match compression::unwrap(payload, limit) {
            Ok(payload) => payload,
            Err(error) => return Read::unknown(Err(error)),
        };
        let named = content_type.filter(|_| self.format == Format::Auto).and_then(content_type::format);
        if let Some(format) = named {
            let outcome = self.decode_format(format, &payload, report);
            if !matches!(outcome, Err(PayloadError::Malformed { .. } | PayloadError::MalformedJson { .. })) {
                return Read { format: Some(format), outcome };
            }
        }
        if self.format == Format::Auto {
            return self.recognise(topic, &payload, report);
        }
        let outcome = self.decode_format(self.format, &payload, report).map_err(|error| match error {
            PayloadError::Malformed { .. } | PayloadError::MalformedJson { .. } => {
                let named = signatures::by_topic(topic).or_else(|| signatures::by_magic(&payload));
                named.map_or(error, |looks_like| PayloadError::UnknownFormat { looks_like })
            }
            error => error,
        });
        Read { format: Some(self.format), outcome }
    }

    /// Decodes a payload of a format. JSON stands for [`Format::Auto`].
    fn decode_format(&self, format: Format, payload: &[u8], report: &mut Report) -> Outcome {
        match format {
            Format::Auto | Format::Json => json(&self.json, payload, report),
            Format::Senml => self.senml(payload),
            Format::Cbor => match self.direct(Format::Cbor, payload, report) {
                Some(read) => read.outcome,
                None => transcode::cbor(payload).and_then(|json| self.of_cbor(&json, report).read.outcome),
            },
            Format::Messagepack => match self.direct(Format::Messagepack, payload, report) {
                Some(read) => read.outcome,
                None => transcode::messagepack(payload)
                    .and_then(|json| self.of_json(&json, Format::Messagepack, report).read.outcome),
            },
            Format::LineProtocol => line_protocol::decode(payload, &self.limits, self.time_floor),
            Format::JsonLines => json_lines::decode(payload, &self.limits, &self.json),
            Format::Csv => self.csv.decode(payload, &self.limits, &self.rows),
        }
    }

    fn recognise(&self, topic: &str, payload: &[u8], report: &mut Report) -> Read {
        let text = Text::of(payload).ok();
        let begins_as_text =
            payload.first().is_none_or(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        if text.is_none() && !begins_as_text {
            return self.recognise_binary(topic, payload, report);
        }
        if let Some(text) = &text
            && let Some(pack) = Pack::recognise(&text.text, Encoding::Json)
        {
            let pack = pack.with_names_from(text);
            return Read::of(Format::Senml, pack.and_then(|pack| pack.decode(&self.limits, self.time_floor)));
        }
        let outcome = json(&self.json, payload, report);
        if !matches!(outcome, Err(PayloadError::MalformedJson { .. })) {
            return Read::of(Format::Json, outcome);
        }
        if json_lines::are_json_lines(payload, &self.json) {
            return Read::of(Format::JsonLines, json_lines::decode(payload, &self.limits, &self.json));
        }
        let is_line_protocol =
            |text: Text<'_>| text.replaced.is_none() && line_protocol::is_line_protocol(&text.text);
        if text.is_some_and(is_line_protocol) {
            return Read::of(
                Format::LineProtocol,
                line_protocol::decode(payload, &self.limits, self.time_floor),
            );
        }
        match unless_named(topic, payload) {
            Err(error) => Read::unknown(Err(error)),
            Ok(()) => Read::of(Format::Json, outcome),
        }
    }

    fn recognise_binary(&self, topic: &str, payload: &[u8], report: &mut Report) -> Read {
        if let Some(looks_like) = signatures::by_topic(topic) {
            return Read::unknown(Err(PayloadError::UnknownFormat { looks_like }));
        }
        let direct = |format| self.direct(format, payload, report);
        if let Some(read) = direct(Format::Messagepack).or_else(|| direct(Format::Cbor)) {
            return read;
        }
        // A payload may be valid in both formats. The one that gives a measurement is meant. The
        // first byte tells most of them apart.
        let mut candidates: Vec<Recognised> = Vec::new();
        if !matches!(payload.first(), Some(0xa0..=0xdb)) {
            let json = transcode::messagepack(payload).ok();
            candidates.extend(json.map(|json| self.of_json(&json, Format::Messagepack, &mut None)));
        }
        if !candidates.iter().any(is_meant) {
            let json = transcode::cbor(payload).ok();
            candidates.extend(json.map(|json| self.of_cbor(&json, &mut None)));
        }
        candidates.sort_by_key(|candidate| !is_meant(candidate));
        if let Some(candidate) = candidates.into_iter().find(|candidate| candidate.is_certain) {
            if report.is_some() {
                self.report_binary(candidate.read.format, payload, report);
            }
            return candidate.read;
        }
        if let Err(error) = unless_named(topic, payload) {
            return Read::unknown(Err(error));
        }
        // Text with a foreign byte at its beginning may still be read.
        let outcome = json(&self.json, payload, report).map_err(|error| unknown_binary(payload, error));
        Read::of(Format::Json, outcome)
    }

    /// Decodes a binary payload that is a map of a format, if no report is wanted. `None` if it
    /// must be rewritten as JSON.
    fn direct(&self, format: Format, payload: &[u8], report: &Report) -> Option<Read> {
        let measurement = match format {
            _ if report.is_some() => None,
            Format::Messagepack => self.transcoded.object_of(binary::messagepack(payload)?),
            _ => self.transcoded.object_of(binary::cbor(payload)?),
        };
        Some(Read::of(format, Ok(vec![Ok(measurement?)])))
    }

    /// Reports what is left out of a payload in a binary format.
    fn report_binary(&self, format: Option<Format>, payload: &[u8], report: &mut Report) {
        let json = match format {
            Some(Format::Messagepack) => transcode::messagepack(payload),
            _ => transcode::cbor(payload),
        };
        if let Ok(json) = json {
            self.of_json(&json, Format::Cbor, report);
        }
    }

    /// Decodes a payload in a binary format that was rewritten as JSON.
    fn of_json(&self, json: &Json, format: Format, report: &mut Report) -> Recognised {
        // An array without an object is at most a list of numbers.
        let is_container = json.text.starts_with(['{', '[']) && json.text.contains('{');
        let outcome = self::json(&self.transcoded, json.text.as_bytes(), report);
        Recognised { read: Read::of(format, outcome), is_certain: is_container && !json.has_integer_keys }
    }

    /// Decodes a CBOR payload that was rewritten as JSON.
    fn of_cbor(&self, json: &Json, report: &mut Report) -> Recognised {
        match Pack::recognise(&json.text, Encoding::Cbor) {
            Some(pack) => Recognised {
                read: Read::of(Format::Senml, pack.decode(&self.limits, self.time_floor)),
                is_certain: true,
            },
            None => self.of_json(json, Format::Cbor, report),
        }
    }

    fn senml(&self, payload: &[u8]) -> Outcome {
        let pack = match Text::of(payload) {
            Ok(text) if text.text.is_empty() => return Err(PayloadError::Empty),
            Ok(text) if text.text.starts_with(['[', '{']) => {
                Pack::parse(&text.text, Encoding::Json)?.with_names_from(&text)?
            }
            _ => {
                let json = transcode::cbor(payload)?;
                Pack::parse(&json.text, Encoding::Cbor)?
            }
        };
        pack.decode(&self.limits, self.time_floor)
    }
}

/// Decodes JSON.
fn json(decoder: &PayloadDecoder, payload: &[u8], report: &mut Report) -> Outcome {
    let Some(report) = report else { return decoder.decode(payload) };
    let (outcome, left_out) = decoder.decode_explained(payload);
    *report = left_out;
    outcome
}

/// Whether a payload is meant to have this format: it is certain, and gives a measurement.
fn is_meant(candidate: &Recognised) -> bool {
    let has_measurement =
        || candidate.read.outcome.as_ref().is_ok_and(|elements| elements.iter().any(Result::is_ok));
    candidate.is_certain && has_measurement()
}

/// Fails with the name of the payload's format, if the format is recognised.
fn unless_named(topic: &str, payload: &[u8]) -> Result<(), PayloadError> {
    let named = signatures::by_topic(topic)
        .or_else(|| signatures::by_magic(payload))
        .or_else(|| signatures::by_structure(payload));
    named.map_or(Ok(()), |looks_like| Err(PayloadError::UnknownFormat { looks_like }))
}

/// The error of a payload that is not text and has no known format. Without a hint of a format it
/// is the JSON error: a damaged message is no message of another format.
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
