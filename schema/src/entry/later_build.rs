//! Entries of a later build: what tests of upgrades write and read. Never in a release (feature
//! `faults`).

use super::layout::{CHECKSUM_BYTES, VERSION, checksum};
use super::types::{Entry, EntryError};

/// A version that only a later build writes and reads. Its layout is that of [`VERSION`].
const LATER_VERSION: u8 = VERSION + 1;

impl Entry {
    /// Packs the entry as a later build does: in a version of the format that
    /// [`decode`](Self::decode) does not know.
    pub fn encode_later(&self) -> Vec<u8> {
        of_version(&self.encode(), LATER_VERSION)
    }

    /// Unpacks an entry as a later build does.
    pub fn decode_later(bytes: &[u8]) -> Result<Self, EntryError> {
        match Self::decode(bytes) {
            Err(EntryError::UnknownVersion(LATER_VERSION)) => Self::decode(&of_version(bytes, VERSION)),
            decoded => decoded,
        }
    }
}

/// Returns an entry with another version, and a checksum that matches.
fn of_version(bytes: &[u8], version: u8) -> Vec<u8> {
    let mut content = bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
    content[0] = version;
    content.extend(checksum(&content));
    content
}
