//! Snapshots: a forest as bytes, and back.

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

/// Memory that [`Forest::restore`] allows: 4 GiB.
const RESTORE_LIMIT: u64 = 4 << 30;

impl Forest {
    /// The whole state as bytes, which [`restore`](Forest::restore) turns into a forest that continues as this one would, bit for bit.
    ///
    /// The bytes are the same on every platform and carry a version and a checksum. Equal states give equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// Rebuilds a forest from a snapshot.
    ///
    /// Bytes that are no snapshot are an error, whatever they hold; nothing is allocated before the sizes they claim are checked.
    /// A forest that would take more than 4 GiB is refused: see [`restore_within`](Forest::restore_within).
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSnapshot`], [`Error::NewerSnapshot`] or [`Error::TooMuchMemory`].
    pub fn restore(snapshot: &[u8]) -> Result<Self, Error> {
        Self::restore_within(snapshot, RESTORE_LIMIT)
    }

    /// Rebuilds a forest from a snapshot, if it takes no more than `limit` bytes of memory.
    ///
    /// Boxes are not stored, so that a forest with long shingles is many times larger than its snapshot.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](Forest::restore).
    pub fn restore_within(snapshot: &[u8], limit: u64) -> Result<Self, Error> {
        decode::decode(snapshot, limit)
    }
}
