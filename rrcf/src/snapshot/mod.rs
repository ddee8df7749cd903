//! Snapshots: a forest as bytes, and back. [`mod@format`] describes the bytes.

mod bits;
mod decode;
mod encode;
mod format;
mod reader;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::error::Error;
use crate::forest::Forest;

/// The memory limit of [`Forest::restore`]: 4 GiB.
const RESTORE_LIMIT: u64 = 4 << 30;

impl Forest {
    /// Returns the whole state as bytes. [`restore`](Forest::restore) turns them into a forest that
    /// continues as this one would, bit for bit.
    ///
    /// The bytes are the same on every platform. They carry a version and a checksum. Equal states
    /// give equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// Rebuilds a forest from a snapshot.
    ///
    /// Any bytes that are not a snapshot give an error. Sizes in the bytes are checked before
    /// memory is allocated for them. A forest that would take more than 4 GiB is refused: see
    /// [`restore_within`](Forest::restore_within).
    ///
    /// # Errors
    ///
    /// Returns [`Error::DamagedSnapshot`], [`Error::NewerSnapshot`] or [`Error::TooMuchMemory`].
    pub fn restore(snapshot: &[u8]) -> Result<Self, Error> {
        Self::restore_within(snapshot, RESTORE_LIMIT)
    }

    /// Rebuilds a forest from a snapshot if it takes at most `limit` bytes of memory.
    ///
    /// Boxes are not stored, so a forest with long shingles is many times larger than its snapshot.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`restore`](Forest::restore).
    pub fn restore_within(snapshot: &[u8], limit: u64) -> Result<Self, Error> {
        decode::decode(snapshot, limit)
    }
}
