//! Bounds of memory as texts: `"auto"`, `"512MB"`, `"1.5GiB"`.

use std::fmt;

use bytesize::ByteSize;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands for a bound that depends on the machine or the server.
const AUTO: &str = "auto";

/// A bound of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryBound {
    /// As much as the machine or the server allows.
    Auto,
    /// This number of bytes.
    Bytes(u64),
}

impl MemoryBound {
    /// Returns the number of bytes; `None` for `"auto"`.
    pub(crate) const fn bytes(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// Formats a number of bytes as the configuration has it.
pub(crate) fn show(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, size)| format!("{}{unit}", bytes / size))
}

impl Serialize for MemoryBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Bytes(bytes) => serializer.serialize_str(&show(*bytes)),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = MemoryBound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\", or a number of bytes such as \"512MB\" or \"1GiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<MemoryBound, E> {
        match text.trim() {
            AUTO => Ok(MemoryBound::Auto),
            text => match text.parse::<ByteSize>() {
                Ok(ByteSize(bytes)) => Ok(MemoryBound::Bytes(bytes)),
                Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            },
        }
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<MemoryBound, E> {
        Ok(MemoryBound::Bytes(bytes))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<MemoryBound, E> {
        let invalid = || E::invalid_value(serde::de::Unexpected::Signed(bytes), &self);
        u64::try_from(bytes).map(MemoryBound::Bytes).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<MemoryBound> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn sizes_are_read_and_shown_with_their_units() {
        for (text, bytes) in [("1GiB", 1 << 30), ("512 MB", 512_000_000), ("1.5GiB", 3 << 29), ("0", 0)] {
            assert_eq!(read(&format!("{text:?}")), Some(MemoryBound::Bytes(bytes)), "{text}");
        }
        assert_eq!(read("\"auto\""), Some(MemoryBound::Auto));
        assert_eq!(read("1048576"), Some(MemoryBound::Bytes(1 << 20)));
        assert_eq!((read("\"much\""), read("-1"), read("\"1 apple\"")), (None, None, None));
        assert_eq!([1 << 30, 3 << 20, 1_000, 0].map(show), ["1GiB", "3MiB", "1000B", "0B"]);
        for bytes in [1 << 30, 1_000, 0] {
            let written = serde_json::to_string(&MemoryBound::Bytes(bytes)).unwrap();
            assert_eq!(read(&written), Some(MemoryBound::Bytes(bytes)));
        }
    }
}
