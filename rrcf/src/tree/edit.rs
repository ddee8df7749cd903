//! Writing a bucket to its record, and changing the record in place.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]

use super::bucket::{Bucket, CAPACITY, Opening, SMALL};
use super::bytes::{close, head, open, put, read, write};
use super::levels::Levels;
use super::shape::Shape;

impl Shape {
    /// Writes the levels and the number of leaves of a record.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape.
    #[inline(always)]
    unsafe fn set_head(&self, record: &mut [u8], levels: Levels, len: usize) {
        let word = levels.0 | (len as u64 - 1) << self.len_shift;
        // SAFETY: the caller promises room for the record, and every record has more than eight
        // bytes: the cuts alone have 32.
        unsafe {
            let others = u64::from_le_bytes(read(record, 0)) & !self.head_mask;
            write(record, 0, (word | others).to_le_bytes());
        }
    }

    /// Replaces the slot of a leaf.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape, and the leaf must be below its capacity.
    #[inline(always)]
    pub(crate) unsafe fn set_slot(&self, record: &mut [u8], leaf: usize, slot: u32) {
        check!(leaf < self.capacity);
        // SAFETY: the slots have an element of `slot_bytes` bytes, which is 1, 2 or 4, for every
        // leaf below the capacity.
        unsafe { put(record, self.slots_at + leaf * self.slot_bytes, slot, self.slot_bytes) };
    }

    /// Replaces the cut of a gap.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape, and the gap must be below its capacity.
    #[inline(always)]
    unsafe fn set_cut(&self, record: &mut [u8], gap: usize, (dimension, cut): (usize, f32)) {
        check!(gap < self.capacity);
        let at = self.dimensions_at + gap * self.dimension_bytes;
        // SAFETY: the dimensions have an element of `dimension_bytes` bytes, which is 1 or 2, and
        // the cuts one of four bytes, for every gap below the capacity.
        unsafe {
            put(record, at, dimension as u32, self.dimension_bytes);
            write(record, self.cuts_at + 4 * gap, cut.to_le_bytes());
        }
    }

    /// Writes a bucket to a record.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape. The bucket must have at least one leaf, and at
    /// most as many as the capacity.
    pub(crate) unsafe fn pack(&self, record: &mut [u8], bucket: &Bucket) {
        check!((1..=self.capacity).contains(&bucket.len));
        // SAFETY: the caller promises room for the shape. Its capacity is one of the two.
        unsafe {
            self.set_head(record, bucket.levels, bucket.len);
            if self.capacity == SMALL {
                self.pack_in::<SMALL>(record, bucket);
            } else {
                self.pack_in::<CAPACITY>(record, bucket);
            }
        }
    }

    /// Writes the arrays of a record.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape, and the capacity must be `C`.
    unsafe fn pack_in<const C: usize>(&self, record: &mut [u8], bucket: &Bucket) {
        let slots = |leaf: usize| bucket.slots[leaf].to_le_bytes();
        let dimensions = |gap: usize| bucket.dimensions[gap].to_le_bytes();
        check!(self.capacity == C);
        // SAFETY: in a shape with a capacity of `C`, each array has `C` elements of the size that is
        // written, and all are within the record.
        unsafe {
            match self.slot_bytes {
                1 => write::<[[u8; 1]; C]>(record, self.slots_at, array(|leaf| head(slots(leaf)))),
                2 => write::<[[u8; 2]; C]>(record, self.slots_at, array(|leaf| head(slots(leaf)))),
                _ => write::<[[u8; 4]; C]>(record, self.slots_at, array(slots)),
            }
            match self.dimension_bytes {
                1 => write::<[[u8; 1]; C]>(record, self.dimensions_at, array(|gap| head(dimensions(gap)))),
                _ => write::<[[u8; 2]; C]>(record, self.dimensions_at, array(dimensions)),
            }
            write::<[[u8; 4]; C]>(record, self.cuts_at, array(|gap| bucket.cuts[gap].to_le_bytes()));
        }
    }

    /// Writes a bucket with two leaves to a record.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape.
    #[inline(always)]
    pub(crate) unsafe fn pack_two(&self, record: &mut [u8], slots: [u32; 2], cut: (usize, f32)) {
        // SAFETY: the caller promises room for the shape. Two leaves and one gap are below any
        // capacity.
        unsafe {
            self.set_head(record, Levels::NONE, 2);
            self.set_slot(record, 0, slots[0]);
            self.set_slot(record, 1, slots[1]);
            self.set_cut(record, 0, cut);
        }
    }

    /// Removes a leaf and the gap that is its parent.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape. It must hold at least two leaves, one of them
    /// `leaf`, and at most as many as the capacity.
    #[inline(always)]
    pub(crate) unsafe fn remove(&self, record: &mut [u8], leaf: usize) {
        // SAFETY: the caller promises that the record holds the leaf, so the leaf and the gap beside
        // it are below the capacity. An array of the capacity has at most the bytes given, which
        // are those of an array of a large record. With one more element, the array of the cuts of
        // a small record ends with the spare bytes, and no other read goes further.
        unsafe {
            let (mut levels, len) = self.head(record);
            let gap = levels.close(leaf, len);
            self.set_head(record, levels, len - 1);
            match self.slot_bytes {
                1 => close::<1, CAPACITY>(record, self.slots_at, leaf, self.capacity),
                2 => close::<2, { 2 * CAPACITY }>(record, self.slots_at, leaf, self.capacity),
                _ => close::<4, { 4 * CAPACITY }>(record, self.slots_at, leaf, self.capacity),
            }
            match self.dimension_bytes {
                1 => close::<1, CAPACITY>(record, self.dimensions_at, gap, self.capacity),
                _ => close::<2, { 2 * CAPACITY }>(record, self.dimensions_at, gap, self.capacity),
            }
            close::<4, { 4 * CAPACITY }>(record, self.cuts_at, gap, self.capacity);
        }
    }

    /// Inserts a new leaf.
    ///
    /// # Safety
    ///
    /// The record must have room for this shape and hold fewer leaves than the capacity. The
    /// stretch of the opening must be within these leaves.
    #[inline(always)]
    pub(crate) unsafe fn insert(&self, record: &mut [u8], opening: &Opening) {
        // SAFETY: the caller promises the stretch and space for one more leaf, so the new leaf and
        // the new gap are below the capacity. An array of the capacity has at most the bytes given,
        // which are those of an array of a large record and end within the spare bytes at the
        // latest. At least four bytes, those of the levels, are before the first array.
        unsafe {
            let (mut levels, len) = self.head(record);
            check!(len < self.capacity);
            check!(opening.stretch.0 <= opening.stretch.1 && opening.stretch.1 < len);
            let (gap, leaf) = levels.open(opening.stretch, opening.level, opening.right);
            self.set_head(record, levels, len + 1);
            match self.slot_bytes {
                1 => open::<1, CAPACITY>(record, self.slots_at, leaf, self.capacity),
                2 => open::<2, { 2 * CAPACITY }>(record, self.slots_at, leaf, self.capacity),
                _ => open::<4, { 4 * CAPACITY }>(record, self.slots_at, leaf, self.capacity),
            }
            match self.dimension_bytes {
                1 => open::<1, CAPACITY>(record, self.dimensions_at, gap, self.capacity),
                _ => open::<2, { 2 * CAPACITY }>(record, self.dimensions_at, gap, self.capacity),
            }
            open::<4, { 4 * CAPACITY }>(record, self.cuts_at, gap, self.capacity);
            self.set_slot(record, leaf, opening.slot);
            self.set_cut(record, gap, opening.cut);
        }
    }
}

/// Does the same as `array::from_fn`, which is not always inlined.
#[inline(always)]
fn array<const N: usize, const C: usize>(f: impl Fn(usize) -> [u8; N]) -> [[u8; N]; C] {
    let mut array = [[0; N]; C];
    for (i, element) in array.iter_mut().enumerate() {
        *element = f(i);
    }
    array
}
