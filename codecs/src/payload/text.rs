//! A payload as text.

use std::borrow::Cow;

use super::error::PayloadError;

/// A payload as text.
pub(crate) struct Text<'p> {
    pub(crate) text: Cow<'p, str>,
    /// The error of the bytes, if some are not UTF-8 and were replaced.
    pub(crate) replaced: Option<PayloadError>,
}

impl<'p> Text<'p> {
    /// Returns the payload without a byte order mark, and without NULs and white space around it.
    /// Bytes that are not UTF-8 are replaced if the payload is an object or an array.
    pub(crate) fn of(payload: &'p [u8]) -> Result<Self, PayloadError> {
        let payload = trimmed(payload).trim_ascii_start();
        match std::str::from_utf8(payload) {
            Ok(text) => Ok(Self { text: Cow::Borrowed(text), replaced: None }),
            Err(error) if matches!(payload.first(), Some(b'{' | b'[')) => {
                let replaced = Some(PayloadError::not_utf8(&error));
                Ok(Self { text: String::from_utf8_lossy(payload), replaced })
            }
            Err(error) => Err(PayloadError::not_utf8(&error)),
        }
    }

    /// Fails if a name has replaced bytes: the device did not send this name, and two names of
    /// sensors or fields could become one.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), PayloadError> {
        match &self.replaced {
            Some(error) if name.contains(char::REPLACEMENT_CHARACTER) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The error of a text that is not JSON.
    pub(super) fn malformed(&self) -> PayloadError {
        self.replaced.clone().unwrap_or_else(|| malformed(&self.text))
    }
}

/// Returns a payload without its byte order mark.
pub(crate) fn without_mark(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload)
}

/// Returns a payload without a byte order mark, and without NULs and white space at its end.
pub(crate) fn trimmed(payload: &[u8]) -> &[u8] {
    trim_end(without_mark(payload))
}

/// Returns bytes without NULs and white space at their end.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let end = bytes.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Returns the error of a text that is not JSON, with its place.
pub(super) fn malformed(text: &str) -> PayloadError {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(error) => PayloadError::malformed(&error),
        Ok(_) => PayloadError::MalformedJson { detail: "a name has a wrong escape".to_owned() },
    }
}
