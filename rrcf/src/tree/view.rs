//! A packed bucket, read and changed where it lies.
//!
//! A record of up to `C` leaves holds the levels of the gaps, four bits each, with the number of leaves in the last four; then the slots of the
//! leaves, the dimensions of the cuts, each with as few bytes as do, and the cuts.

use super::bucket::{Bucket, CAPACITY, Opening, SMALL};
use super::levels::Levels;
use crate::eight::Eight;
use crate::lanes::Probe;
use crate::store::Store;

/// Where in a record of some size what stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Leaves, at most.
    pub(crate) capacity: usize,
    /// Bytes of the record.
    pub(crate) size: usize,
    /// Bits of the first word that are levels.
    levels: u64,
    /// Where in the first word the number of leaves stands.
    len: u32,
    slots_at: usize,
    slot_bytes: usize,
    slot_mask: u32,
    dimensions_at: usize,
    dimension_bytes: usize,
    dimension_mask: u16,
    cuts_at: usize,
}

impl Shape {
    /// Bytes of the largest record there is.
    pub(crate) const LARGEST: usize = CAPACITY / 2 + CAPACITY * (4 + 2 + 4);

    /// The record of up to `capacity` leaves: [`SMALL`] or [`CAPACITY`].
    pub(crate) fn new(capacity: usize, slots: usize, dimensions: usize) -> Self {
        let (slot_bytes, slot_mask) = match slots {
            0..=0x100 => (1, 0xff),
            0x101..=0x1_0000 => (2, 0xffff),
            _ => (4, u32::MAX),
        };
        let (dimension_bytes, dimension_mask) = if dimensions <= 0x100 { (1, 0xff) } else { (2, u16::MAX) };
        let len = 4 * (capacity as u32 - 1);
        let slots_at = capacity / 2;
        let dimensions_at = slots_at + capacity * slot_bytes;
        let cuts_at = dimensions_at + capacity * dimension_bytes;
        let size = cuts_at + 4 * capacity;
        Self {
            capacity,
            size,
            levels: (1 << len) - 1,
            len,
            slots_at,
            slot_bytes,
            slot_mask,
            dimensions_at,
            dimension_bytes,
            dimension_mask,
            cuts_at,
        }
    }

    /// The levels and the number of leaves of a record.
    #[inline(always)]
    fn head(&self, record: &[u8]) -> (Levels, usize) {
        let word = u64::from_le_bytes(read(record, 0));
        (Levels(word & self.levels), (word >> self.len & 15) as usize + 1)
    }

    #[inline(always)]
    fn set_head(&self, record: &mut [u8], levels: Levels, len: usize) {
        let word = levels.0 | (len as u64 - 1) << self.len;
        if self.capacity == CAPACITY {
            write(record, 0, word.to_le_bytes());
        } else {
            write(record, 0, (word as u32).to_le_bytes());
        }
    }

    #[inline(always)]
    pub(crate) fn set_slot(&self, record: &mut [u8], leaf: usize, slot: u32) {
        put(record, self.slots_at + leaf * self.slot_bytes, slot, self.slot_bytes);
    }

    #[inline(always)]
    fn set_cut(&self, record: &mut [u8], gap: usize, (dimension, cut): (usize, f32)) {
        put(record, self.dimensions_at + gap * self.dimension_bytes, dimension as u32, self.dimension_bytes);
        write(record, self.cuts_at + 4 * gap, cut.to_le_bytes());
    }

    /// Fills a record.
    pub(crate) fn pack(&self, record: &mut [u8], bucket: &Bucket) {
        self.set_head(record, bucket.levels, bucket.len);
        for leaf in 0..bucket.len {
            self.set_slot(record, leaf, bucket.slots[leaf]);
        }
        for gap in 0..bucket.len.saturating_sub(1) {
            self.set_cut(record, gap, (usize::from(bucket.dimensions[gap]), bucket.cuts[gap]));
        }
    }

    /// Fills a record with two leaves.
    #[inline(always)]
    pub(crate) fn pack_two(&self, record: &mut [u8], slots: [u32; 2], cut: (usize, f32)) {
        self.set_head(record, Levels::NONE, 2);
        self.set_slot(record, 0, slots[0]);
        self.set_slot(record, 1, slots[1]);
        self.set_cut(record, 0, cut);
    }

    /// Takes a leaf out, and with it the gap that is its parent. There must be two leaves.
    #[inline(always)]
    pub(crate) fn remove(&self, record: &mut [u8], leaf: usize) {
        let (mut levels, len) = self.head(record);
        let gap = levels.close(leaf, len);
        self.set_head(record, levels, len - 1);
        if self.capacity == SMALL {
            self.close::<SMALL>(record, leaf, gap);
        } else {
            self.close::<CAPACITY>(record, leaf, gap);
        }
    }

    #[inline(always)]
    fn close<const C: usize>(&self, record: &mut [u8], leaf: usize, gap: usize) {
        match self.slot_bytes {
            1 => close::<1, C>(record, self.slots_at, leaf),
            2 => close::<2, C>(record, self.slots_at, leaf),
            _ => close::<4, C>(record, self.slots_at, leaf),
        }
        match self.dimension_bytes {
            1 => close::<1, C>(record, self.dimensions_at, gap),
            _ => close::<2, C>(record, self.dimensions_at, gap),
        }
        close::<4, C>(record, self.cuts_at, gap);
    }

    /// Puts a new leaf in. There must be room.
    #[inline(always)]
    pub(crate) fn insert(&self, record: &mut [u8], opening: &Opening) {
        let (mut levels, len) = self.head(record);
        debug_assert!(len < self.capacity);
        let (gap, leaf) = levels.open(opening.stretch, opening.level, opening.right);
        self.set_head(record, levels, len + 1);
        if self.capacity == SMALL {
            self.open::<SMALL>(record, leaf, gap);
        } else {
            self.open::<CAPACITY>(record, leaf, gap);
        }
        self.set_slot(record, leaf, opening.slot);
        self.set_cut(record, gap, opening.cut);
    }

    #[inline(always)]
    fn open<const C: usize>(&self, record: &mut [u8], leaf: usize, gap: usize) {
        match self.slot_bytes {
            1 => open::<1, C>(record, self.slots_at, leaf),
            2 => open::<2, C>(record, self.slots_at, leaf),
            _ => open::<4, C>(record, self.slots_at, leaf),
        }
        match self.dimension_bytes {
            1 => open::<1, C>(record, self.dimensions_at, gap),
            _ => open::<2, C>(record, self.dimensions_at, gap),
        }
        open::<4, C>(record, self.cuts_at, gap);
    }
}

/// A bucket, or a single leaf as one.
pub(crate) struct View<'a> {
    record: &'a [u8],
    shape: &'a Shape,
    /// Leaves; one more than gaps.
    pub(crate) len: usize,
    pub(crate) levels: Levels,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(crate) fn new(record: &'a [u8], shape: &'a Shape) -> Self {
        let (levels, len) = shape.head(record);
        Self { record, shape, len, levels }
    }

    /// The slot of a leaf's point.
    #[inline(always)]
    pub(crate) fn slot(&self, leaf: usize) -> u32 {
        let at = self.shape.slots_at + leaf * self.shape.slot_bytes;
        u32::from_le_bytes(read(self.record, at)) & self.shape.slot_mask
    }

    /// The dimension of a gap's cut.
    #[inline(always)]
    pub(crate) fn dimension(&self, gap: usize) -> usize {
        let at = self.shape.dimensions_at + gap * self.shape.dimension_bytes;
        usize::from(u16::from_le_bytes(read(self.record, at)) & self.shape.dimension_mask)
    }

    /// The value of a gap's cut: points with `value <= cut` are on the left.
    #[inline(always)]
    pub(crate) fn cut(&self, gap: usize) -> f32 {
        f32::from_le_bytes(read(self.record, self.shape.cuts_at + 4 * gap))
    }

    /// For every gap a bit: whether the point is on the right of its cut. Bits that belong to no gap mean nothing.
    #[inline(always)]
    pub(crate) fn sides<V: Eight, const NARROW: bool>(&self, probe: &Probe) -> u32 {
        if !NARROW {
            return self.sides_one_by_one(probe.point());
        }
        if self.shape.capacity == SMALL {
            self.sides_in::<V, SMALL>(probe)
        } else {
            self.sides_in::<V, CAPACITY>(probe)
        }
    }

    /// The same for points of at most eight values, whose dimensions take one byte.
    #[inline(always)]
    fn sides_in<V: Eight, const C: usize>(&self, probe: &Probe) -> u32 {
        let dimensions: [[u8; 1]; C] = elements(self.record, self.shape.dimensions_at);
        let cuts: [[u8; 4]; C] = elements(self.record, self.shape.cuts_at);
        probe.lanes::<V>(0).sides(dimensions.as_flattened().first_chunk().unwrap_or(&[0; C]), &cuts)
    }

    #[inline(always)]
    fn sides_one_by_one(&self, point: &[f32]) -> u32 {
        let mut sides = 0;
        for gap in 0..self.len - 1 {
            sides |= u32::from(point[self.dimension(gap)] > self.cut(gap)) << gap;
        }
        sides
    }

    /// The leaf of a slot.
    #[inline(always)]
    pub(crate) fn find(&self, slot: u32) -> usize {
        let found = if self.shape.capacity == SMALL {
            self.find_in::<SMALL>(slot)
        } else {
            self.find_in::<CAPACITY>(slot)
        };
        debug_assert!(found < self.len);
        found
    }

    #[inline(always)]
    fn find_in<const C: usize>(&self, slot: u32) -> usize {
        let mut hits = 0_u32;
        for leaf in 0..C {
            hits |= u32::from(self.slot(leaf) == slot) << leaf;
        }
        hits.trailing_zeros() as usize
    }

    /// Points that the leaves of a stretch stand for.
    #[inline(always)]
    pub(crate) fn mass(&self, first: usize, last: usize, store: &Store) -> u32 {
        if store.all_distinct() {
            (last - first + 1) as u32
        } else {
            (first..=last).map(|leaf| store.count(self.slot(leaf))).sum()
        }
    }

    pub(crate) fn unpack(&self) -> Bucket {
        let mut bucket = Bucket::EMPTY;
        bucket.len = self.len;
        bucket.levels = self.levels;
        for leaf in 0..self.len {
            bucket.slots[leaf] = self.slot(leaf);
        }
        for gap in 0..self.len - 1 {
            bucket.dimensions[gap] = self.dimension(gap) as u16;
            bucket.cuts[gap] = self.cut(gap);
        }
        bucket
    }
}

/// Reads some bytes.
#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]
fn read<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    debug_assert!(at + N <= record.len());
    // SAFETY: a record is as long as its shape says, and slots, dimensions and cuts are asked for by leaves and gaps that it has room
    // for; behind each of the narrow ones, at least four bytes follow.
    unsafe { record.as_ptr().add(at).cast::<[u8; N]>().read() }
}

/// Writes some bytes.
#[inline(always)]
#[allow(unsafe_code, reason = "as `read`")]
fn write<const N: usize>(record: &mut [u8], at: usize, bytes: [u8; N]) {
    debug_assert!(at + N <= record.len());
    // SAFETY: as in `read`.
    unsafe { record.as_mut_ptr().add(at).cast::<[u8; N]>().write(bytes) }
}

/// Writes a number of 1, 2 or 4 bytes.
#[inline(always)]
fn put(record: &mut [u8], at: usize, value: u32, bytes: usize) {
    match bytes {
        1 => write(record, at, [value as u8]),
        2 => write(record, at, (value as u16).to_le_bytes()),
        _ => write(record, at, value.to_le_bytes()),
    }
}

/// Moves the elements from `at` on one place up, of `C` elements of `N` bytes; the last is dropped.
#[inline(always)]
fn open<const N: usize, const C: usize>(record: &mut [u8], start: usize, at: usize) {
    let old: [[u8; N]; C] = elements(record, start);
    let mut new = old;
    for i in 1..C {
        new[i] = if i > at { old[i - 1] } else { old[i] };
    }
    set_elements(record, start, new);
}

/// Moves the elements behind `at` one place down, over it, of `C` elements of `N` bytes.
#[inline(always)]
fn close<const N: usize, const C: usize>(record: &mut [u8], start: usize, at: usize) {
    let old: [[u8; N]; C] = elements(record, start);
    let mut new = old;
    for i in 0..C - 1 {
        new[i] = if i >= at { old[i + 1] } else { old[i] };
    }
    set_elements(record, start, new);
}

#[inline(always)]
#[allow(unsafe_code, reason = "as `read`")]
fn elements<const N: usize, const C: usize>(record: &[u8], start: usize) -> [[u8; N]; C] {
    debug_assert!(start + N * C <= record.len());
    // SAFETY: as in `read`.
    unsafe { record.as_ptr().add(start).cast::<[[u8; N]; C]>().read() }
}

#[inline(always)]
#[allow(unsafe_code, reason = "as `read`")]
fn set_elements<const N: usize, const C: usize>(record: &mut [u8], start: usize, elements: [[u8; N]; C]) {
    debug_assert!(start + N * C <= record.len());
    // SAFETY: as in `read`.
    unsafe { record.as_mut_ptr().add(start).cast::<[[u8; N]; C]>().write(elements) }
}
