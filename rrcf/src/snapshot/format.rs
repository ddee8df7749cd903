//! The format of a snapshot.
//!
//! Format 2, all numbers little-endian:
//!
//! | part | bytes |
//! |---|---|
//! | `RRCF` | 4 |
//! | format | 2 |
//! | dimensions, shingle, window, trees | 4 each |
//! | points taken in so far | 8 |
//! | distinct points held | 4 |
//! | way of sampling: 0 sliding window, 1 reservoir, 2 time-decayed reservoir | 1 |
//! | rate of decay, `f64`, only for way 2 | 8 |
//! | weights, one `f32` per dimension | 4 each |
//! | the points, see below | |
//! | trees, one after the other | |
//! | checksum: XXH3-64 of everything before | 8 |
//!
//! The points of a sliding window are the raw points held, oldest first (4 bytes per value), how many points were taken out before their
//! time (4), and the age rank of each (4 each, ascending; 0 is the oldest point). Those of a sample are the state of its
//! random numbers (8), the recent raw points as long as the shingle (4 per value), how many points are held (4), for each in the order of
//! the heap its key (8) and its number (4), and the values of the points by number (4 each); equal points have one number, and
//! numbers are given in the order of the heap.
//!
//! A tree is the state of its random numbers (8 bytes) and then, bit by bit and each with as few bits as can tell all possible
//! values apart: its branches in pre-order (1 for an inner node), the dimensions of the cuts in pre-order, of every leaf from left to right the
//! age rank of its newest point, or its number, and the cuts from the last in pre-order to the first. A cut lies between the greatest value on its
//! left and the least on its right, and is written as how many `f32` it is above the former, which takes about 14 bits of 32. Boxes,
//! masses and the leaves of older equal points follow from these, exactly. The same state always gives the same bytes.
//!
//! Format 1, which is still read, knows only the sliding window, does not name it, and takes no point out before its time. Its trees have
//! whole bytes instead: branches, all dimensions (1, 2 or 4 bytes, whichever can name every
//! dimension), all cuts (4), all ages (1, 2 or 4).

pub(super) const MAGIC: [u8; 4] = *b"RRCF";
pub(super) const FORMAT: u16 = 2;
pub(super) const CHECKSUM: usize = 8;
pub(super) const SLIDING: u8 = 0;
pub(super) const RESERVOIR: u8 = 1;
pub(super) const DECAYED: u8 = 2;

/// Bytes that name any of `count` things, in format 1.
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
