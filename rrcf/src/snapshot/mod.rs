//! Snapshots: a forest as bytes, and back.
//!
//! Format 1, all numbers little-endian:
//!
//! | part | bytes |
//! |---|---|
//! | `RRCF` | 4 |
//! | format | 2 |
//! | dimensions, shingle, window, trees | 4 each |
//! | points taken in so far | 8 |
//! | distinct points held | 4 |
//! | weights, one `f32` per dimension | 4 each |
//! | raw points held, oldest first | 4 per value |
//! | trees, one after the other | |
//! | checksum: XXH3-64 of everything before | 8 |
//!
//! A tree is the state of its random numbers (8 bytes), then its branches in pre-order (a bit each, 1 for an inner node, least
//! significant bit first, filled up with zeros), then the cuts in pre-order: all dimensions (1, 2 or 4 bytes, whichever can name
//! every dimension) and all values (4 bytes), then the leaves in pre-order: the age rank of the newest point of each (1, 2 or 4 bytes,
//! 0 is the oldest point held). Boxes, masses and the leaves of older equal points follow from these, exactly. The same state
//! always gives the same bytes.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

use crate::{Error, Forest};

const MAGIC: [u8; 4] = *b"RRCF";
const FORMAT: u16 = 1;
/// Bytes in front of the weights.
const HEADER: usize = 34;
const CHECKSUM: usize = 8;
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

/// Bytes that name any of `count` things.
fn index_bytes(count: usize) -> usize {
    match count {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Bytes of one tree with `distinct` leaves, of `held` points of `width` values.
fn tree_bytes(distinct: usize, held: usize, width: usize) -> usize {
    let inner = distinct.saturating_sub(1);
    8 + (distinct + inner).div_ceil(8) + inner * (index_bytes(width) + 4) + distinct * index_bytes(held)
}

fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
