//! The numbers of the layout, and the checksum.

use xxhash_rust::xxh3::xxh3_64;

pub(super) const VERSION: u8 = 1;
pub(super) const KIND_RECORDS: u8 = 1;
pub(super) const KIND_CONTROL: u8 = 2;
/// Index of the byte that holds the kind of an entry.
pub(super) const KIND_AT: usize = 1;
pub(super) const CHECKSUM_BYTES: usize = 4;

// Bits of a record's head.
pub(super) const DEAD_LETTER: u64 = 1;
pub(super) const REDELIVERED: u64 = 2;
pub(super) const STAMPED: u64 = 4;
/// Of a dead letter: it was made of a reading.
pub(super) const OF_READING: u64 = 4;
/// Of a dead letter: it is only counted.
pub(super) const COUNT_ONLY: u64 = 8;
pub(super) const SERIES_SHIFT: u32 = 3;

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}
