//! The layout of a bucket's record: its fields, their positions and their sizes.
//!
//! A record of up to `C` leaves holds, in this order: the levels of the gaps, four bits each, with
//! the number of leaves in the last four bits; the slots of the leaves; the dimensions of the cuts;
//! the cuts. Slots and dimensions have as few bytes as they need.
//!
//! [`view`](super::view) reads records, [`edit`](super::edit) writes and changes them.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]

use super::bucket::{CAPACITY, SMALL};
use super::bytes::read;
use super::levels::Levels;

/// Bytes after a record that must exist. The same code handles small and large records, because a
/// branch on the size would be mispredicted, so it reads beyond a small record.
pub(super) const SPARE: usize = 4 * (CAPACITY - SMALL) + 4;

/// The positions of the fields in a record of one size.
///
/// A slice *has room* for a shape if it has at least [`Shape::size`] bytes and [`SPARE`] bytes after
/// them. This is the condition of the unsafe functions that take a record. Reading a record stays
/// within this room whatever its bytes are: the number of leaves has four bits, and the spare bytes
/// allow a small record to be read like a large one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Largest number of leaves.
    pub(crate) capacity: usize,
    /// Bytes of the record.
    pub(crate) size: usize,
    /// The bits of the levels in the first word.
    pub(super) levels_mask: u64,
    /// The bits of the first word in the first eight bytes.
    pub(super) head_mask: u64,
    /// The position of the number of leaves in the first word, in bits.
    pub(super) len_shift: u32,
    pub(super) slots_at: usize,
    pub(super) slot_bytes: usize,
    pub(super) slot_mask: u32,
    pub(super) dimensions_at: usize,
    pub(super) dimension_bytes: usize,
    pub(super) dimension_mask: u16,
    pub(super) cuts_at: usize,
}

impl Shape {
    /// Bytes of the largest possible record.
    pub(crate) const LARGEST: usize = CAPACITY / 2 + CAPACITY * (4 + 2 + 4);

    /// Creates the shape of a record for up to `capacity` leaves, which is [`SMALL`] or
    /// [`CAPACITY`].
    pub(crate) fn new(capacity: usize, slots: usize, dimensions: usize) -> Self {
        check!(capacity == SMALL || capacity == CAPACITY);
        let (slot_bytes, slot_mask) = match slots {
            0..=0x100 => (1, 0xff),
            0x101..=0x1_0000 => (2, 0xffff),
            _ => (4, u32::MAX),
        };
        let (dimension_bytes, dimension_mask) = if dimensions <= 0x100 { (1, 0xff) } else { (2, u16::MAX) };
        let len_shift = 4 * (capacity as u32 - 1);
        let slots_at = capacity / 2;
        let dimensions_at = slots_at + capacity * slot_bytes;
        let cuts_at = dimensions_at + capacity * dimension_bytes;
        let size = cuts_at + 4 * capacity;
        Self {
            capacity,
            size,
            levels_mask: (1 << len_shift) - 1,
            head_mask: if capacity == SMALL { u64::from(u32::MAX) } else { u64::MAX },
            len_shift,
            slots_at,
            slot_bytes,
            slot_mask,
            dimensions_at,
            dimension_bytes,
            dimension_mask,
            cuts_at,
        }
    }

    /// Returns the levels and the number of leaves of a record.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape.
    #[inline(always)]
    pub(super) unsafe fn head(&self, record: &[u8]) -> (Levels, usize) {
        // SAFETY: the caller promises room for the record, and every record has more than eight
        // bytes: the cuts alone have 32.
        let word = u64::from_le_bytes(unsafe { read(record, 0) });
        (Levels(word & self.levels_mask), (word >> self.len_shift & 15) as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_ends_within_the_spare_bytes() {
        for capacity in [SMALL, CAPACITY] {
            for slots in [0x100, 0x1_0000, usize::MAX] {
                for dimensions in [0x100, 0x1_0000] {
                    let shape = Shape::new(capacity, slots, dimensions);
                    let room = shape.size + SPARE;
                    assert!(shape.size >= size_of::<u64>() && shape.size <= Shape::LARGEST);
                    let slot = shape.slots_at + (CAPACITY + 1) * shape.slot_bytes;
                    let dimension = shape.dimensions_at + CAPACITY * shape.dimension_bytes;
                    let cut = shape.cuts_at + CAPACITY * 4;
                    assert!(slot + 4 <= room && dimension + 2 <= room && cut + 4 <= room, "{shape:?}");
                    let arrays = [
                        (shape.slots_at, shape.slot_bytes),
                        (shape.dimensions_at, shape.dimension_bytes),
                        (shape.cuts_at, 4),
                    ];
                    for (start, bytes) in arrays {
                        assert!(start >= bytes, "{shape:?} has an element before each array");
                        assert!(start + (CAPACITY + 1) * bytes <= room, "{shape:?} is read like a large one");
                    }
                }
            }
        }
    }
}
