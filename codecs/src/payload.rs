//! From the payload of an MQTT message to measurements.
//!
//! | payload | measurements |
//! |---|---|
//! | `{"ts":"2026-11-22T10:00:00Z","laeq_db":52.31,"zcr":0.08}` | one, of two fields |
//! | `[{"ts":1795341600,"laeq_db":52.31},{"ts":1795341601,"laeq_db":52.4}]` | one per object |
//! | `21.5` | one, of the field `value`, without a timestamp |
//!
//! In an object, every member that is a number is a field. The member named by a timestamp key is
//! the time. If there are several such members, the first key in the list of keys wins. Texts,
//! booleans, nulls, arrays and objects are ignored.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;

mod error;
mod object;
mod shapes;
mod types;

pub use error::PayloadError;
use object::Scratch;
pub use types::{Measurement, PayloadLimits};

/// Decodes payloads. It remembers the shapes of objects: an object of a known shape costs no more
/// allocations than its values. Decoding takes a lock, so give each task a decoder of its own.
pub struct PayloadDecoder {
    limits: PayloadLimits,
    timestamp_keys: Vec<String>,
    scratch: Mutex<Scratch>,
}

/// The limits and timestamp keys of the default configuration, for tools and tests that have no
/// other.
impl Default for PayloadDecoder {
    fn default() -> Self {
        let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000 };
        Self::new(limits, ["ts", "timestamp", "time"].map(str::to_owned).into())
    }
}

impl fmt::Debug for PayloadDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadDecoder")
            .field("limits", &self.limits)
            .field("timestamp_keys", &self.timestamp_keys)
            .finish_non_exhaustive()
    }
}

impl PayloadDecoder {
    /// Creates a decoder with these limits. A member with one of `timestamp_keys` as its name is
    /// the time; an earlier key wins over a later one.
    pub fn new(limits: PayloadLimits, timestamp_keys: Vec<String>) -> Self {
        Self { limits, timestamp_keys, scratch: Mutex::default() }
    }

    /// Decodes a payload.
    ///
    /// An outer error means that no part of the message is usable. An inner error is that of one
    /// element of an array, in the element's place.
    pub fn decode(&self, payload: &[u8]) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        if payload.len() > self.limits.max_bytes {
            return Err(PayloadError::TooLarge { bytes: payload.len(), limit: self.limits.max_bytes });
        }
        let text = std::str::from_utf8(payload).map_err(|error| PayloadError::not_utf8(&error))?;
        let text = text.trim_ascii();
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        match text.as_bytes().first() {
            None => Err(PayloadError::Empty),
            Some(b'{') => Ok(vec![Ok(self.object(&mut scratch, text)?)]),
            Some(b'[') => self.array(&mut scratch, text),
            Some(_) => Ok(vec![Ok(Self::bare_number(&mut scratch, text)?)]),
        }
    }

    fn object(&self, scratch: &mut Scratch, text: &str) -> Result<Measurement, PayloadError> {
        object::read(scratch, text, &self.timestamp_keys, self.limits.max_fields)
    }

    fn array(
        &self,
        scratch: &mut Scratch,
        text: &str,
    ) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| PayloadError::malformed(&error))?;
        if elements.is_empty() {
            return Err(PayloadError::Empty);
        }
        if elements.len() > self.limits.max_readings {
            let (readings, limit) = (elements.len(), self.limits.max_readings);
            return Err(PayloadError::TooManyReadings { readings, limit });
        }
        let element = |raw: &&RawValue| match raw.get().as_bytes().first() {
            Some(b'{') => self.object(scratch, raw.get()),
            _ => Err(PayloadError::NotAReading),
        };
        Ok(elements.iter().map(element).collect())
    }

    fn bare_number(scratch: &mut Scratch, text: &str) -> Result<Measurement, PayloadError> {
        let number: Result<&RawValue, _> = serde_json::from_str(text);
        let raw = number.map_err(|error| PayloadError::malformed(&error))?.get();
        if !raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(PayloadError::NotAReading);
        }
        // Rust reads every JSON number, and rounds it correctly.
        let value: f64 = raw.parse().unwrap_or(f64::INFINITY);
        scratch.bare(value)
    }
}

#[cfg(test)]
mod tests;
