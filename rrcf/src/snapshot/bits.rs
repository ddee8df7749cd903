//! Numbers of any bit width, packed one after the other, least significant bit first.

use alloc::vec::Vec;

/// Appends bits to a vector of bytes.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// Writes the lower `bits` bits of a number, at most 32.
    pub(super) fn put(&mut self, value: u32, bits: u32) {
        check!(bits <= 32 && u64::from(value) < 1 << bits);
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        if self.count >= 32 {
            self.out.extend((self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        self.out.extend(&self.held.to_le_bytes()[..self.count.div_ceil(8) as usize]);
    }
}

/// Reads bits from the front of a slice of bytes.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0 }
    }

    /// Returns the next number of `bits` bits, at most 32. Reading beyond the end gives zeros,
    /// which [`BitReader::is_sound`] and [`BitReader::finish`] report.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        let (byte, shift) = (self.taken / 8, self.taken % 8);
        self.taken += bits as usize;
        let word = match self.bytes.get(byte..byte + 8).and_then(|eight| eight.first_chunk()) {
            Some(&eight) => u64::from_le_bytes(eight),
            None => self.last_word(byte),
        };
        (word >> shift & ((1 << bits) - 1)) as u32
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u64 {
        let mut eight = [0; 8];
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let count = rest.len().min(8);
        eight[..count].copy_from_slice(&rest[..count]);
        u64::from_le_bytes(eight)
    }

    /// Returns whether all bits that were read existed.
    pub(super) fn is_sound(&self) -> bool {
        self.taken <= self.bytes.len() * 8
    }

    /// Returns the bytes after the last byte that was read. Returns `None` if the reader went
    /// beyond the end, or if the unread bits of the last byte are not zero.
    pub(super) fn finish(mut self) -> Option<&'a [u8]> {
        let fill = self.taken.next_multiple_of(8) - self.taken;
        let clean = self.take(fill as u32) == 0;
        let rest = self.bytes.get(self.taken / 8..)?;
        clean.then_some(rest)
    }
}

/// Returns the number of bits that distinguish `count` values.
pub(super) fn bits_for(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Returns the position of a finite `f32` in the order of all finite `f32`. Neighbours differ by
/// one.
pub(super) fn rank(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// Returns the `f32` of a [`rank`]; its inverse.
pub(super) fn of_rank(rank: u32) -> f32 {
    f32::from_bits(if rank >> 31 == 1 { rank & !(1 << 31) } else { !rank })
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, bits_for, of_rank, rank};

    #[test]
    fn what_is_written_is_read_back() {
        let numbers: Vec<(u32, u32)> =
            (0..1_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 32), 32 - n % 32)).collect();
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        for &(value, bits) in &numbers {
            writer.put(value, bits);
        }
        writer.put(0, 0);
        writer.finish();
        bytes.push(7);
        let mut reader = BitReader::new(&bytes);
        for &(value, bits) in &numbers {
            assert_eq!(reader.take(bits), value);
        }
        assert_eq!(reader.finish(), Some(&[7][..]));
    }

    #[test]
    fn reading_beyond_the_end_is_noticed() {
        let mut reader = BitReader::new(&[0xff, 0x01]);
        assert_eq!(reader.take(9), 0x1ff);
        assert!(reader.is_sound());
        reader.take(8);
        assert!(!reader.is_sound());
        assert_eq!(reader.finish(), None);
        let mut dirty = BitReader::new(&[0x82]);
        dirty.take(2);
        assert_eq!(dirty.finish(), None);
    }

    #[test]
    fn ranks_follow_the_order_of_numbers() {
        let values =
            [f32::MIN, -1.0, -f32::from_bits(1), 0.0, f32::from_bits(1), 1.0_f32.next_down(), 1.0, f32::MAX];
        for pair in values.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]));
            assert_eq!(of_rank(rank(pair[0])).to_bits(), pair[0].to_bits());
        }
        assert_eq!(rank(1.0) - rank(1.0_f32.next_down()), 1);
    }

    #[test]
    fn as_many_bits_as_needed() {
        assert_eq!([0, 1, 2, 3, 8, 9, 256, 257].map(bits_for), [0, 0, 1, 2, 3, 4, 8, 9]);
    }
}
