//! The errors of a payload, or of one element of it.

use std::fmt::Write as _;

use thicket_schema::text::excerpt;
use thicket_schema::{FieldSetError, Reason};

use super::left_out::{GIVES_VALUE, LeftOut, LeftOutReason, may_be_word};
use crate::timestamp::TimestampError;

/// Why a payload, or one element of an array, is not a measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The payload is longer than the limit.
    #[error(
        "the payload has {bytes} bytes, at most {limit} are allowed; send smaller batches, or raise mqtt.max_payload_bytes"
    )]
    TooLarge {
        /// Length of the payload in bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The payload is compressed, and longer than the limit without the compression.
    #[error(
        "the compressed payload expands to more than {limit} bytes; send smaller batches, or raise mqtt.max_payload_bytes"
    )]
    ExpandsTooFar {
        /// The limit.
        limit: usize,
    },
    /// The payload is not JSON. The detail names line and column.
    #[error("malformed JSON: {detail}")]
    MalformedJson {
        /// The error and its position.
        detail: String,
    },
    /// The payload, or its array, is empty.
    #[error("the payload is empty; send an object of numbers, an array of such objects, or a number")]
    Empty,
    /// No member of the object is a number.
    #[error("the object has no numeric member{found}")]
    NoNumericField {
        /// The members that were found, and why none is a field. Empty, or begins with a colon.
        found: String,
    },
    /// A number is beyond the range of a 64-bit float.
    #[error("the value of {field} is not a finite 64-bit float; leave the field out where there is no value")]
    NotFinite {
        /// The field, or the beginning of its name.
        field: String,
    },
    /// A field, or the timestamp, occurs twice.
    #[error("the object has two members named {field}; send each once")]
    DuplicateField {
        /// The member, or the beginning of its name.
        field: String,
    },
    /// The timestamp cannot be read.
    #[error("bad timestamp: {0}{advice}", advice = advice(.0))]
    BadTimestamp(#[from] TimestampError),
    /// The object has more numeric members than the limit.
    #[error(
        "the object has more than {limit} numeric members; split it over several sensors, or raise mqtt.max_fields"
    )]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// The array has more elements than the limit.
    #[error(
        "the array has {readings} elements, at most {limit} are allowed; send smaller batches, or raise mqtt.max_readings"
    )]
    TooManyReadings {
        /// Number of elements of the array.
        readings: usize,
        /// The limit.
        limit: usize,
    },
    /// A field's name cannot be stored.
    #[error("bad field name: {0}")]
    BadFieldName(FieldSetError),
    /// The payload, or the element, is JSON but not a reading.
    #[error("not a reading; send an object of numbers, an array of such objects, or a number")]
    NotAReading,
    /// The payload is an array, and neither of objects nor of numbers that can be fields.
    #[error("the payload {0}; send an object of numbers, an array of such objects, or a number")]
    NoReadingInArray(LeftOutReason),
    /// The payload has a format that is read, but does not follow its rules.
    #[error("malformed {format}: {detail}")]
    Malformed {
        /// The name of the format.
        format: &'static str,
        /// The error, with its place.
        detail: String,
    },
    /// No birth certificate tells what the metrics of a Sparkplug message are.
    #[error("{detail}; a new birth certificate is needed")]
    NoBirth {
        /// The metric, and what is missing.
        detail: String,
    },
    /// The payload has a format that is not read.
    #[error(
        "this looks like {looks_like}; it is not read: send JSON, SenML, CBOR, MessagePack or line protocol"
    )]
    UnknownFormat {
        /// The name of the format, and how it was recognised.
        looks_like: String,
    },
}

/// Returns how to take the reading although its time cannot be read. Only members under timestamp
/// keys have such times, which all obey the setting.
fn advice(error: &TimestampError) -> &'static str {
    match error {
        TimestampError::NotATime(_) | TimestampError::NoZone(_) => {
            "; or set mqtt.on_bad_time = \"arrival\", which takes the time of the arrival"
        }
        _ => "",
    }
}

/// Most members that an error names.
const MAX_NAMED: usize = 4;

impl PayloadError {
    /// An object without a field; names the first of its members. If its members are without a value at
    /// the moment, the error names the rule that ignores such messages.
    pub(crate) fn no_field(left_out: &[LeftOut]) -> Self {
        let mut found = String::new();
        for (index, member) in left_out.iter().take(MAX_NAMED).enumerate() {
            found.push_str(if index == 0 { ": " } else { "; " });
            found.push_str(&member.to_string());
        }
        if left_out.len() > MAX_NAMED {
            // Writing to a string cannot fail.
            let _ = write!(found, "; and {} more", left_out.len() - MAX_NAMED);
        }
        if left_out.iter().any(|member| member.reason == LeftOutReason::Missing)
            && left_out.iter().all(|member| is_without_value(&member.reason))
        {
            found.push_str(
                "; a rule of mqtt.ignore with topic and lacks passes over JSON objects without a value",
            );
        }
        Self::NoNumericField { found }
    }

    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::MalformedJson { detail: error.to_string() }
    }

    /// The error of a payload that is a plain text, such as `no error`.
    pub(super) fn plain_text(text: &str, is_number_with_comma: bool) -> Self {
        let advice = if is_number_with_comma {
            "; mqtt.decimal_comma = true reads the comma as the decimal sign"
        } else if may_be_word(text) {
            GIVES_VALUE
        } else if !text.contains(['=', '{']) {
            "; mqtt.format = \"csv\" and mqtt.csv_columns read separated values"
        } else {
            ", and has no format that is recognised"
        };
        Self::MalformedJson { detail: format!("the text {:?} is no number{advice}", excerpt(text)) }
    }

    /// The error of a payload that is a word for no value, such as `nan`.
    pub(super) fn no_value(text: &str) -> Self {
        let text = excerpt(text);
        let detail = format!(
            "the text {text:?} says that the sensor has no value now; mqtt.ignore passes over such messages"
        );
        Self::MalformedJson { detail }
    }

    pub(super) fn not_utf8(error: &std::str::Utf8Error) -> Self {
        Self::MalformedJson { detail: format!("not UTF-8 at byte {}", error.valid_up_to()) }
    }
}

/// Whether a member has no value at the moment, or is not meant to be read. A text counts as such a
/// member, because it is often a unit.
fn is_without_value(reason: &LeftOutReason) -> bool {
    use LeftOutReason::{Empty, Excluded, Missing, NoTime, NotIncluded, OutsideRoot, Text};
    matches!(reason, Missing | Excluded | NotIncluded | OutsideRoot | Text(_) | NoTime | Empty)
}

impl From<FieldSetError> for PayloadError {
    fn from(error: FieldSetError) -> Self {
        match error {
            FieldSetError::Duplicate { name } => Self::DuplicateField { field: excerpt(&name) },
            FieldSetError::NoFields => Self::NoNumericField { found: String::new() },
            error => Self::BadFieldName(error),
        }
    }
}

impl From<&PayloadError> for Reason {
    fn from(error: &PayloadError) -> Self {
        match error {
            PayloadError::TooLarge { .. } | PayloadError::ExpandsTooFar { .. } => Self::PayloadTooLarge,
            PayloadError::MalformedJson { .. } => Self::MalformedJson,
            PayloadError::Empty => Self::Empty,
            PayloadError::NoNumericField { .. } => Self::NoNumericField,
            PayloadError::NotFinite { .. } => Self::NotFinite,
            PayloadError::DuplicateField { .. } => Self::DuplicateField,
            PayloadError::BadTimestamp(_) => Self::BadTimestamp,
            PayloadError::TooManyFields { .. } => Self::TooManyFields,
            PayloadError::TooManyReadings { .. } => Self::TooManyReadings,
            PayloadError::BadFieldName(_) => Self::BadFieldName,
            PayloadError::NotAReading | PayloadError::NoReadingInArray(_) => Self::NotAReading,
            PayloadError::Malformed { .. } => Self::MalformedPayload,
            PayloadError::UnknownFormat { .. } => Self::UnknownFormat,
            PayloadError::NoBirth { .. } => Self::NoBirth,
        }
    }
}
