//! Messages and readings that cannot be processed. Each is stored with its reason.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::reading::Reading;
use crate::text::{excerpt, storable};

/// Why a message or a reading became a dead letter. The names are stable: they are stored, and they
/// label metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The payload is longer than the limit.
    PayloadTooLarge,
    /// The payload is not JSON.
    MalformedJson,
    /// The payload, or its array, is empty.
    Empty,
    /// An object has no numeric member.
    NoNumericField,
    /// A number is beyond the range of a 64-bit float.
    NotFinite,
    /// A field, or the timestamp, occurs twice in one object.
    DuplicateField,
    /// The timestamp cannot be read.
    BadTimestamp,
    /// An object has more numeric members than the limit.
    TooManyFields,
    /// An array has more elements than the limit.
    TooManyReadings,
    /// A field's name is empty, too long, or has control characters.
    BadFieldName,
    /// The payload is JSON, but of a kind that holds no reading.
    NotAReading,
    /// The topic matches no template.
    NoTopicTemplate,
    /// The text that the template captures from the topic is not a valid sensor name.
    BadSensorName,
    /// The timestamp is later than the arrival by more than `mqtt.max_future`.
    TimestampInFuture,
    /// The timestamp is earlier than the arrival by more than `mqtt.max_age`.
    TimestampTooOld,
    /// Another reading of the sensor has the same timestamp and other values.
    TimestampConflict,
    /// An entry of the log cannot be decoded.
    BadEntry,
    /// `PostgreSQL` rejects the row of the reading.
    Unstorable,
    /// The payload has a format other than JSON that is read, but does not follow its rules.
    MalformedPayload,
    /// The payload has a format that is not read.
    UnknownFormat,
    /// The message lacks a part of the sensor's name.
    NoSensor,
    /// The metrics of a Sparkplug message have no name, and no earlier birth certificate names
    /// them.
    NoBirth,
    /// Another sensor has the id of the sensor, or other fields have the id of its fields: ids are
    /// hashes of names.
    SensorIdTaken,
    /// There are as many sensors as `sensors.max` allows, or new ones come faster than
    /// `sensors.new_per_second`.
    TooManySensors,
    /// The sensor has sent as many sets of fields, or as many fields, as `sensors` allows.
    TooManyShapes,
    /// The reading is of a past day that has no table yet, and the sensor has lately made as many
    /// such tables as it may.
    TooManyDays,
    /// The sensor was renamed, and the message has its old name.
    SensorRenamed,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 27] = [
        Self::PayloadTooLarge,
        Self::MalformedJson,
        Self::Empty,
        Self::NoNumericField,
        Self::NotFinite,
        Self::DuplicateField,
        Self::BadTimestamp,
        Self::TooManyFields,
        Self::TooManyReadings,
        Self::BadFieldName,
        Self::NotAReading,
        Self::NoTopicTemplate,
        Self::BadSensorName,
        Self::TimestampInFuture,
        Self::TimestampTooOld,
        Self::TimestampConflict,
        Self::BadEntry,
        Self::Unstorable,
        Self::MalformedPayload,
        Self::UnknownFormat,
        Self::NoSensor,
        Self::NoBirth,
        Self::SensorIdTaken,
        Self::TooManySensors,
        Self::TooManyShapes,
        Self::TooManyDays,
        Self::SensorRenamed,
    ];

    /// Returns the stable name, as in the table `dead_letters` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PayloadTooLarge => "payload_too_large",
            Self::MalformedJson => "malformed_json",
            Self::Empty => "empty",
            Self::NoNumericField => "no_numeric_field",
            Self::NotFinite => "not_finite",
            Self::DuplicateField => "duplicate_field",
            Self::BadTimestamp => "bad_timestamp",
            Self::TooManyFields => "too_many_fields",
            Self::TooManyReadings => "too_many_readings",
            Self::BadFieldName => "bad_field_name",
            Self::NotAReading => "not_a_reading",
            Self::NoTopicTemplate => "no_topic_template",
            Self::BadSensorName => "bad_sensor_name",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::TimestampConflict => "timestamp_conflict",
            Self::BadEntry => "bad_entry",
            Self::Unstorable => "unstorable",
            Self::MalformedPayload => "malformed_payload",
            Self::UnknownFormat => "unknown_format",
            Self::NoSensor => "no_sensor",
            Self::NoBirth => "no_birth",
            Self::SensorIdTaken => "sensor_id_taken",
            Self::TooManySensors => "too_many_sensors",
            Self::TooManyShapes => "too_many_shapes",
            Self::TooManyDays => "too_many_days",
            Self::SensorRenamed => "sensor_renamed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dead letter reason: {0}")]
pub struct ReasonError(String);

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let reason = Self::ALL.into_iter().find(|reason| reason.as_str() == name);
        reason.ok_or_else(|| ReasonError(excerpt(name)))
    }
}

/// A message or reading that cannot be processed, with its texts cut to a maximum length.
///
/// Texts contain no NUL, which `PostgreSQL` cannot store: [`DeadLetter::new`] replaces it by
/// U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The MQTT topic, or the sensor's name if `of_reading`. At most
    /// [`DeadLetter::MAX_TOPIC_BYTES`] of it.
    pub topic: String,
    /// Why it cannot be processed.
    pub reason: Reason,
    /// An explanation for people, at most [`DeadLetter::MAX_DETAIL_BYTES`].
    pub detail: String,
    /// The beginning of the payload, at most [`DeadLetter::MAX_PAYLOAD_BYTES`].
    pub payload: Bytes,
    /// Length of the whole payload in bytes.
    pub payload_bytes: u64,
    /// Whether it was made of a decoded reading rather than of a message.
    pub of_reading: bool,
    /// Whether it is only counted: too many of its kind came at once. It gets no row, and its
    /// payload is the hash of its [content](DeadLetter::content).
    pub count_only: bool,
}

/// Length of the payload of a [sample](DeadLetter::sample).
const SAMPLE_AND_HASH: usize = DeadLetter::SAMPLE_BYTES + size_of::<i64>();

impl DeadLetter {
    /// Names of the time in the payload of a dead letter that was made from a reading. A text under
    /// such a name is the time. A number is a field.
    pub const TIME_NAMES: [&'static str; 3] = ["ts", "timestamp", "time"];
    /// Maximum number of bytes of a topic that are kept.
    pub const MAX_TOPIC_BYTES: usize = 1_024;
    /// Maximum number of bytes of an explanation that are kept.
    pub const MAX_DETAIL_BYTES: usize = 500;
    /// Maximum number of bytes of a payload that are kept.
    pub const MAX_PAYLOAD_BYTES: usize = 4_096;

    /// Number of bytes of the payload that a [sample](DeadLetter::sample) keeps.
    pub const SAMPLE_BYTES: usize = 256;

    /// Makes a dead letter from a message. Copies the parts that are kept, so that a large message
    /// can be freed.
    pub fn new(topic: &str, reason: Reason, detail: &str, payload: &[u8]) -> Self {
        Self::of_excerpt(topic, reason, detail, payload, payload.len() as u64)
    }

    /// Makes a dead letter from a decoded reading that cannot be scored or stored. The topic is the
    /// name of the sensor. The payload is a JSON object of the values, with the time under the
    /// first of [`DeadLetter::TIME_NAMES`] that is not a field.
    pub fn of_reading(reading: &Reading, reason: Reason, detail: &str) -> Self {
        let names = reading.fields.names();
        let values = names.iter().zip(&reading.values);
        let mut members: serde_json::Map<String, serde_json::Value> =
            values.map(|(name, &value)| (name.clone(), serde_json::Value::from(value))).collect();
        if let Some(time) = Self::TIME_NAMES.into_iter().find(|time| !members.contains_key(*time)) {
            members.insert(time.to_owned(), reading.ts.to_string().into());
        }
        let payload = serde_json::Value::Object(members).to_string();
        Self { of_reading: true, ..Self::new(reading.sensor.as_str(), reason, detail, payload.as_bytes()) }
    }

    /// Returns the hash of topic, reason and payload. It tells a redelivered message from a new one.
    /// `None` if it is not known of a dead letter that is only counted.
    pub fn content(&self) -> Option<i64> {
        if self.count_only || self.is_sample() {
            return self.payload.last_chunk().map(|&hash| i64::from_le_bytes(hash));
        }
        let mut hash = Xxh3::new();
        for part in [self.topic.as_bytes(), self.reason.as_str().as_bytes(), &self.payload] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&self.payload_bytes.to_le_bytes());
        Some(hash.digest().cast_signed())
    }

    /// Returns the part of the payload that is kept.
    pub fn kept_payload(&self) -> &[u8] {
        if self.is_sample() { &self.payload[..Self::SAMPLE_BYTES] } else { &self.payload }
    }

    /// Shortens a long payload: the dead letter stands for many of its kind. The hash of its
    /// [content](Self::content) follows what is kept.
    pub fn sample(&mut self) {
        if self.payload.len() > SAMPLE_AND_HASH {
            let hash = self.content().unwrap_or_default().to_le_bytes();
            self.payload = [&self.payload[..Self::SAMPLE_BYTES], &hash].concat().into();
        }
    }

    /// Leaves of the dead letter only its count and the hash of its [content](Self::content).
    pub fn count_only(&mut self) {
        let hash = self.content().unwrap_or_default().to_le_bytes();
        self.payload = Bytes::copy_from_slice(&hash);
        self.count_only = true;
        self.topic.clear();
        self.detail.clear();
    }

    /// Any other payload that is not whole is longer.
    const fn is_sample(&self) -> bool {
        !self.count_only
            && self.payload_bytes > SAMPLE_AND_HASH as u64
            && self.payload.len() == SAMPLE_AND_HASH
    }

    /// Makes a dead letter from the beginning of a payload of `payload_bytes` bytes.
    pub(crate) fn of_excerpt(
        topic: &str,
        reason: Reason,
        detail: &str,
        payload: &[u8],
        payload_bytes: u64,
    ) -> Self {
        Self {
            topic: storable(topic, Self::MAX_TOPIC_BYTES),
            reason,
            detail: storable(detail, Self::MAX_DETAIL_BYTES),
            payload: Bytes::copy_from_slice(&payload[..payload.len().min(Self::MAX_PAYLOAD_BYTES)]),
            payload_bytes,
            of_reading: false,
            count_only: false,
        }
    }
}

#[cfg(test)]
mod tests;
