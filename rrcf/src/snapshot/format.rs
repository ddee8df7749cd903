//! The format of a snapshot.
//!
//! This is format 2. All numbers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | `RRCF` | 4 |
//! | format | 2 |
//! | dimensions, shingle, window, trees | 4 each |
//! | points received so far | 8 |
//! | distinct points held | 4 |
//! | sampling: 0 sliding window, 1 reservoir, 2 time-decayed reservoir | 1 |
//! | rate of decay, `f64`, only for sampling 2 | 8 |
//! | weights, one `f32` per dimension | 4 each |
//! | the points, see below | |
//! | trees, one after the other | |
//! | checksum: XXH3-64 of everything before | 8 |
//!
//! The points of a sliding window are:
//!
//! - the number of raw points held (4 bytes), and their values, oldest first (4 per value);
//! - the number of points that were removed before they would have left the window (4), and the age
//!   rank of each (4 each, ascending; 0 is the oldest point).
//!
//! The points of a sample are:
//!
//! - the state of its random numbers (8 bytes);
//! - the recent raw points, one shingle of them (4 per value);
//! - the number of points held (4), then for each point, in the order of the heap, its key (8) and
//!   its number (4);
//! - the values of the points by number (4 each). Equal points have one number. Numbers are given
//!   in the order of the heap.
//!
//! A tree is the state of its random numbers (8 bytes), then a sequence of bits. Each of its
//! numbers takes as few bits as distinguish all its possible values:
//!
//! - the branches in pre-order (1 for an inner node);
//! - the dimensions of the cuts in pre-order;
//! - for every leaf, from left to right, the age rank of its newest point (in a sample, its
//!   number);
//! - the cuts, from the last in pre-order to the first. A cut lies between the greatest value on
//!   its left and the least value on its right. It is written as its distance from the former,
//!   counted in `f32` steps, which takes about 14 bits instead of 32.
//!
//! Boxes, masses and the leaves of older equal points follow from these parts exactly. The same
//! state always gives the same bytes.
//!
//! Format 1 can still be read. It has only the sliding window and no field for the sampling, and no
//! points that were removed early. Its trees use whole bytes: branches, all dimensions (1, 2 or 4
//! bytes, the fewest that can name every dimension), all cuts (4), all age ranks (1, 2 or 4).

pub(super) const MAGIC: [u8; 4] = *b"RRCF";
pub(super) const FORMAT: u16 = 2;
pub(super) const CHECKSUM: usize = 8;
pub(super) const SLIDING: u8 = 0;
pub(super) const RESERVOIR: u8 = 1;
pub(super) const DECAYED: u8 = 2;

/// Returns the number of bytes, in format 1, that can name any of `count` things.
pub(super) fn index_bytes(count: usize) -> usize {
    match count {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

pub(super) fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
