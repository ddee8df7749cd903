//! A packed bucket, which is read and changed in place.
//!
//! A record of up to `C` leaves holds, in this order: the levels of the gaps, four bits each, with
//! the number of leaves in the last four bits; the slots of the leaves; the dimensions of the cuts;
//! the cuts. Slots and dimensions have as few bytes as they need.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]

use super::bucket::{Bucket, CAPACITY, Opening, SMALL};
use super::levels::Levels;
use crate::eight::Eight;
use crate::lanes::Probe;
use crate::store::Store;

/// Bytes after a record that must exist. The same code handles small and large records, because a
/// branch on the size would be mispredicted, so it reads beyond a small record.
pub(super) const SPARE: usize = 4 * (CAPACITY - SMALL) + 4;

/// The positions of the fields in a record of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Largest number of leaves.
    pub(crate) capacity: usize,
    /// Bytes of the record.
    pub(crate) size: usize,
    /// A mask of the levels in the first word.
    levels: u64,
    /// A mask of the first word in the first eight bytes.
    head: u64,
    /// The position of the number of leaves in the first word.
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
    /// Bytes of the largest possible record.
    pub(crate) const LARGEST: usize = CAPACITY / 2 + CAPACITY * (4 + 2 + 4);

    /// Creates the shape of a record for up to `capacity` leaves, which is [`SMALL`] or
    /// [`CAPACITY`].
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
            head: if capacity == SMALL { u64::from(u32::MAX) } else { u64::MAX },
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

    /// Returns the levels and the number of leaves of a record.
    ///
    /// # Safety
    ///
    /// The record must have this shape: `size` bytes, and [`SPARE`] bytes behind them. This is a
    /// condition of every function below that takes a record.
    #[inline(always)]
    unsafe fn head(&self, record: &[u8]) -> (Levels, usize) {
        // SAFETY: no record is shorter than eight bytes.
        let word = u64::from_le_bytes(unsafe { read(record, 0) });
        (Levels(word & self.levels), (word >> self.len & 15) as usize + 1)
    }

    /// # Safety
    ///
    /// As for [`head`](Self::head).
    #[inline(always)]
    unsafe fn set_head(&self, record: &mut [u8], levels: Levels, len: usize) {
        let word = levels.0 | (len as u64 - 1) << self.len;
        // SAFETY: no record is shorter than eight bytes.
        unsafe {
            let others = u64::from_le_bytes(read(record, 0)) & !self.head;
            write(record, 0, (word | others).to_le_bytes());
        }
    }

    /// Replaces the slot of a leaf.
    ///
    /// # Safety
    ///
    /// As for [`head`](Self::head). The record must have room for the leaf.
    #[inline(always)]
    pub(crate) unsafe fn set_slot(&self, record: &mut [u8], leaf: usize, slot: u32) {
        // SAFETY: the slot of a leaf within the capacity is within the record.
        unsafe { put(record, self.slots_at + leaf * self.slot_bytes, slot, self.slot_bytes) };
    }

    /// # Safety
    ///
    /// As for [`head`](Self::head). The record must have room for the gap.
    #[inline(always)]
    unsafe fn set_cut(&self, record: &mut [u8], gap: usize, (dimension, cut): (usize, f32)) {
        let at = self.dimensions_at + gap * self.dimension_bytes;
        // SAFETY: the cut of a gap within the capacity is within the record.
        unsafe {
            put(record, at, dimension as u32, self.dimension_bytes);
            write(record, self.cuts_at + 4 * gap, cut.to_le_bytes());
        }
    }

    /// Writes a record.
    ///
    /// # Safety
    ///
    /// As for [`head`](Self::head).
    pub(crate) unsafe fn pack(&self, record: &mut [u8], bucket: &Bucket) {
        // SAFETY: the caller promises that the record has this shape.
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
    /// As for [`head`](Self::head), with a capacity of `C` leaves.
    unsafe fn pack_in<const C: usize>(&self, record: &mut [u8], bucket: &Bucket) {
        let slots = |leaf: usize| bucket.slots[leaf].to_le_bytes();
        let dimensions = |gap: usize| bucket.dimensions[gap].to_le_bytes();
        // SAFETY: the arrays of `C` elements are within a record of this capacity.
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

    /// Writes a record with two leaves.
    ///
    /// # Safety
    ///
    /// As for [`head`](Self::head).
    #[inline(always)]
    pub(crate) unsafe fn pack_two(&self, record: &mut [u8], slots: [u32; 2], cut: (usize, f32)) {
        // SAFETY: every record has room for two leaves.
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
    /// As for [`head`](Self::head). The record must have at least two leaves, and this one.
    #[inline(always)]
    pub(crate) unsafe fn remove(&self, record: &mut [u8], leaf: usize) {
        // SAFETY: the caller promises that the record has this shape and the leaf. The largest
        // array and one more element are within the record and its spare bytes.
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
    /// As for [`head`](Self::head). The record must have room for the leaf.
    #[inline(always)]
    pub(crate) unsafe fn insert(&self, record: &mut [u8], opening: &Opening) {
        // SAFETY: the caller promises that the record has this shape and room. The largest array is
        // within the record and its spare bytes, and something is before each array.
        unsafe {
            let (mut levels, len) = self.head(record);
            check!(len < self.capacity);
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

/// A view of a bucket, or of a single leaf in the form of a bucket.
pub(crate) struct View<'a> {
    record: &'a [u8],
    shape: &'a Shape,
    /// The number of leaves, which is one more than the number of gaps.
    pub(crate) len: usize,
    pub(crate) levels: Levels,
}

impl<'a> View<'a> {
    /// Returns a view of a record.
    ///
    /// # Safety
    ///
    /// The record must have this shape, and [`SPARE`] bytes behind it.
    #[inline(always)]
    pub(crate) unsafe fn new(record: &'a [u8], shape: &'a Shape) -> Self {
        // SAFETY: the caller promises that the record has this shape.
        let (levels, len) = unsafe { shape.head(record) };
        Self { record, shape, len, levels }
    }

    /// Returns the slot of a leaf's point.
    ///
    /// # Safety
    ///
    /// The bucket must have room for the leaf.
    #[inline(always)]
    pub(crate) unsafe fn slot(&self, leaf: usize) -> u32 {
        check!(leaf < self.shape.capacity);
        let at = self.shape.slots_at + leaf * self.shape.slot_bytes;
        // SAFETY: `new` was promised that the record has its shape. Its spare bytes follow the last
        // array, of which up to four bytes are read.
        u32::from_le_bytes(unsafe { read(self.record, at) }) & self.shape.slot_mask
    }

    /// Returns the dimension of a gap's cut.
    ///
    /// # Safety
    ///
    /// The bucket must have room for the gap.
    #[inline(always)]
    pub(crate) unsafe fn dimension(&self, gap: usize) -> usize {
        check!(gap < self.shape.capacity);
        let at = self.shape.dimensions_at + gap * self.shape.dimension_bytes;
        // SAFETY: as in `slot`.
        usize::from(u16::from_le_bytes(unsafe { read(self.record, at) }) & self.shape.dimension_mask)
    }

    /// Returns the value of a gap's cut: points with `value <= cut` are on the left.
    ///
    /// # Safety
    ///
    /// The bucket must have room for the gap.
    #[inline(always)]
    pub(crate) unsafe fn cut(&self, gap: usize) -> f32 {
        check!(gap < self.shape.capacity);
        // SAFETY: as in `slot`.
        f32::from_le_bytes(unsafe { read(self.record, self.shape.cuts_at + 4 * gap) })
    }

    /// Returns one bit per gap: whether the point is on the right of its cut. Bits beyond the last
    /// gap are arbitrary.
    #[inline(always)]
    pub(crate) fn sides<V: Eight, const EIGHTS: usize>(&self, probe: &Probe) -> u32 {
        if EIGHTS != 1 {
            return self.sides_one_by_one(probe.point());
        }
        // A small record is read like a large one. The elements after its arrays are arbitrary.
        // SAFETY: the spare bytes make a small record as long as a large one.
        let dimensions: [u8; CAPACITY] = unsafe { read(self.record, self.shape.dimensions_at) };
        let cuts = self.elements::<4>(self.shape.cuts_at);
        probe.narrow::<V>().sides(&dimensions, &cuts)
    }

    #[inline(always)]
    fn sides_one_by_one(&self, point: &[f32]) -> u32 {
        let mut sides = 0;
        for gap in 0..self.len - 1 {
            // SAFETY: the bucket has this gap.
            let (dimension, cut) = unsafe { (self.dimension(gap), self.cut(gap)) };
            sides |= u32::from(point[dimension] > cut) << gap;
        }
        sides
    }

    /// Returns the leaf of a slot.
    #[inline(always)]
    pub(crate) fn find(&self, slot: u32) -> usize {
        let found = match self.shape.slot_bytes {
            1 => self.find_in::<1>(slot),
            2 => self.find_in::<2>(slot),
            _ => self.find_in::<4>(slot),
        };
        check!(found < self.len);
        found
    }

    #[inline(always)]
    fn find_in<const N: usize>(&self, slot: u32) -> usize {
        let slots = self.elements::<N>(self.shape.slots_at);
        let wanted: [u8; N] = head(slot.to_le_bytes());
        let mut hits = 0_u32;
        for (leaf, slot) in slots.iter().enumerate() {
            hits |= u32::from(*slot == wanted) << leaf;
        }
        hits.trailing_zeros() as usize
    }

    /// Returns the number of points that the leaves of a stretch represent.
    ///
    /// # Safety
    ///
    /// The bucket must have room for the leaves.
    #[inline(always)]
    pub(crate) unsafe fn mass(&self, first: usize, last: usize, store: &Store) -> u32 {
        if store.all_distinct() {
            (last - first + 1) as u32
        } else {
            check!(last < self.len);
            // SAFETY: the caller promises that the bucket has room for the leaves.
            (first..=last).map(|leaf| store.count(unsafe { self.slot(leaf) })).sum()
        }
    }

    pub(crate) fn unpack(&self) -> Bucket {
        let mut bucket = Bucket::EMPTY;
        bucket.len = self.len;
        bucket.levels = self.levels;
        let shape = self.shape;
        match shape.slot_bytes {
            1 => widen(&mut bucket.slots, self.elements::<1>(shape.slots_at), |[slot]| u32::from(slot)),
            2 => widen(&mut bucket.slots, self.elements::<2>(shape.slots_at), |slot| {
                u32::from(u16::from_le_bytes(slot))
            }),
            _ => widen(&mut bucket.slots, self.elements::<4>(shape.slots_at), u32::from_le_bytes),
        }
        match shape.dimension_bytes {
            1 => widen(&mut bucket.dimensions, self.elements::<1>(shape.dimensions_at), |[dimension]| {
                u16::from(dimension)
            }),
            _ => widen(&mut bucket.dimensions, self.elements::<2>(shape.dimensions_at), u16::from_le_bytes),
        }
        widen(&mut bucket.cuts, self.elements::<4>(shape.cuts_at), f32::from_le_bytes);
        bucket
    }

    /// Returns the elements of an array. The second half is arbitrary if the record is a small one.
    #[inline(always)]
    fn elements<const N: usize>(&self, start: usize) -> [[u8; N]; CAPACITY] {
        // SAFETY: `start` is that of an array of the record, and the spare bytes make a small
        // record as long as a large one.
        unsafe { read(self.record, start) }
    }
}

#[inline(always)]
fn widen<T, const N: usize>(wide: &mut [T], packed: [[u8; N]; CAPACITY], f: impl Fn([u8; N]) -> T) {
    for (wide, packed) in wide.iter_mut().zip(packed) {
        *wide = f(packed);
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

/// Returns the first bytes of an array.
#[inline(always)]
fn head<const N: usize, const M: usize>(bytes: [u8; M]) -> [u8; N] {
    let mut head = [0; N];
    head.copy_from_slice(&bytes[..N]);
    head
}

/// Reads bytes: an array of them, or an array of arrays.
///
/// # Safety
///
/// `record` must have as many bytes from `at` on.
#[inline(always)]
unsafe fn read<T: Bytes>(record: &[u8], at: usize) -> T {
    check!(at + size_of::<T>() <= record.len());
    // SAFETY: the caller promises that the bytes are there. Any bytes are valid, and bytes need no
    // alignment.
    unsafe { record.as_ptr().add(at).cast::<T>().read() }
}

/// Writes bytes.
///
/// # Safety
///
/// `record` must have as many bytes from `at` on.
#[inline(always)]
unsafe fn write<T: Bytes>(record: &mut [u8], at: usize, bytes: T) {
    check!(at + size_of::<T>() <= record.len());
    // SAFETY: as in `read`.
    unsafe { record.as_mut_ptr().add(at).cast::<T>().write(bytes) }
}

/// Types that consist of bytes only.
trait Bytes {}
impl<const N: usize> Bytes for [u8; N] {}
impl<const N: usize, const C: usize> Bytes for [[u8; N]; C] {}

/// Writes a number of 1, 2 or 4 bytes.
///
/// # Safety
///
/// `record` must have as many bytes from `at` on.
#[inline(always)]
unsafe fn put(record: &mut [u8], at: usize, value: u32, bytes: usize) {
    // SAFETY: the caller promises that the bytes are there.
    unsafe {
        match bytes {
            1 => write(record, at, [value as u8]),
            2 => write(record, at, (value as u16).to_le_bytes()),
            _ => write(record, at, value.to_le_bytes()),
        }
    }
}

/// All zeros and then all ones. A slice of it is a mask of the bytes from some byte on.
static FROM: [u8; 2 * MOST] = {
    let mut from = [0; 2 * MOST];
    let mut i = MOST;
    while i < 2 * MOST {
        from[i] = 0xff;
        i += 1;
    }
    from
};

/// Bytes of the largest array in a record.
const MOST: usize = 4 * CAPACITY;

/// Returns `kept` with the bytes `from..to` replaced by those of `moved`.
///
/// # Safety
///
/// Neither `from` nor `to` may exceed [`MOST`].
#[inline(always)]
unsafe fn merge<const BYTES: usize>(
    kept: [u8; BYTES],
    moved: [u8; BYTES],
    from: usize,
    to: usize,
) -> [u8; BYTES] {
    // SAFETY: `FROM` is twice as long as the longest array.
    let (from, behind): ([u8; BYTES], [u8; BYTES]) =
        unsafe { (read(&FROM, MOST - from), read(&FROM, MOST - to)) };
    let mut merged = kept;
    for i in 0..BYTES {
        let mask = from[i] & !behind[i];
        merged[i] = (kept[i] & !mask) | (moved[i] & mask);
    }
    merged
}

/// Moves the elements of `N` bytes from `at` on up by one place, in an array of `len` elements and
/// at most `BYTES` bytes. Drops the last element.
///
/// # Safety
///
/// `record` must have `N` bytes before `start` and `BYTES` bytes from there on. `at` must not
/// exceed `len`, nor `N * len` the number of `BYTES`.
#[inline(always)]
unsafe fn open<const N: usize, const BYTES: usize>(record: &mut [u8], start: usize, at: usize, len: usize) {
    // SAFETY: the caller promises that the bytes are there.
    unsafe {
        let (kept, moved) = (read::<[u8; BYTES]>(record, start), read::<[u8; BYTES]>(record, start - N));
        write(record, start, merge(kept, moved, N * at, N * len));
    }
}

/// Moves the elements of `N` bytes after `at` down by one place, over the element at `at`, in an
/// array of `len` elements and at most `BYTES` bytes.
///
/// # Safety
///
/// `record` must have `BYTES + N` bytes from `start` on. `at` must not exceed `len`, nor `N * len`
/// the number of `BYTES`.
#[inline(always)]
unsafe fn close<const N: usize, const BYTES: usize>(record: &mut [u8], start: usize, at: usize, len: usize) {
    // SAFETY: the caller promises that the bytes are there.
    unsafe {
        let (kept, moved) = (read::<[u8; BYTES]>(record, start), read::<[u8; BYTES]>(record, start + N));
        write(record, start, merge(kept, moved, N * at, N * len));
    }
}
