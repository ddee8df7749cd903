//! Hashes rows with SHA-256, without ambiguity: a length before each text and list, a mark before
//! each optional value, the bits of each number.

use sha2::{Digest as _, Sha256};
use thicket_schema::Timestamp;

/// A SHA-256 hash of the values added so far.
pub(super) struct RowHasher(Sha256);

impl RowHasher {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.0.update(value.to_le_bytes());
    }

    /// Adds the bits of a number: 0 and −0 differ.
    pub(super) fn float(&mut self, value: f64) {
        self.0.update(value.to_bits().to_le_bytes());
    }

    pub(super) fn time(&mut self, value: Timestamp) {
        self.integer(value.as_micros());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.integer(bytes.len() as i64);
        self.0.update(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.integer(texts.len() as i64);
        for text in texts {
            self.text(text);
        }
    }

    pub(super) fn floats(&mut self, values: &[f64]) {
        self.integer(values.len() as i64);
        for value in values {
            self.float(*value);
        }
    }

    /// Adds whether the value is present, and the value by `add` if it is.
    pub(super) fn optional<T>(&mut self, value: Option<T>, add: fn(&mut Self, T)) {
        self.0.update([u8::from(value.is_some())]);
        if let Some(value) = value {
            add(self, value);
        }
    }

    /// Returns the hash in lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}
