//! A view of a bucket's record, which reads the bucket in place.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]

use super::bucket::{Bucket, CAPACITY};
use super::bytes::{head, read};
use super::levels::Levels;
use super::shape::Shape;
use crate::eight::Eight;
use crate::lanes::Probe;
use crate::store::Store;

/// A view of a bucket, or of a single leaf in the form of a bucket.
///
/// A descent through any levels finds gaps up to [`CAPACITY`] and leaves up to one more, so these
/// can be read in every record. What they hold is arbitrary if the bucket does not have them.
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
    /// The record must have room for this shape.
    #[inline(always)]
    pub(crate) unsafe fn new(record: &'a [u8], shape: &'a Shape) -> Self {
        // SAFETY: the caller promises room for the shape.
        let (levels, len) = unsafe { shape.head(record) };
        Self { record, shape, len, levels }
    }

    /// Returns the slot of a leaf's point.
    ///
    /// # Safety
    ///
    /// The leaf must not exceed [`CAPACITY`] + 1.
    #[inline(always)]
    pub(crate) unsafe fn slot(&self, leaf: usize) -> u32 {
        check!(leaf < self.shape.capacity);
        let at = self.shape.slots_at + leaf * self.shape.slot_bytes;
        // SAFETY: `new` was promised room for the shape. The four bytes of the leaf `CAPACITY + 1`
        // may be beyond the slots, but end within the spare bytes at the latest.
        u32::from_le_bytes(unsafe { read(self.record, at) }) & self.shape.slot_mask
    }

    /// Returns the dimension of a gap's cut.
    ///
    /// # Safety
    ///
    /// The gap must not exceed [`CAPACITY`].
    #[inline(always)]
    pub(crate) unsafe fn dimension(&self, gap: usize) -> usize {
        check!(gap < self.shape.capacity);
        let at = self.shape.dimensions_at + gap * self.shape.dimension_bytes;
        // SAFETY: `new` was promised room for the shape. The two bytes of the gap `CAPACITY` may be
        // beyond the dimensions, but end within the spare bytes at the latest.
        usize::from(u16::from_le_bytes(unsafe { read(self.record, at) }) & self.shape.dimension_mask)
    }

    /// Returns the value of a gap's cut: points with `value <= cut` are on the left.
    ///
    /// # Safety
    ///
    /// The gap must not exceed [`CAPACITY`].
    #[inline(always)]
    pub(crate) unsafe fn cut(&self, gap: usize) -> f32 {
        check!(gap < self.shape.capacity);
        // SAFETY: `new` was promised room for the shape. In a small record, the cut of the gap
        // `CAPACITY` ends with the spare bytes.
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
        // SAFETY: both arrays begin there, and a cut has four bytes. The `CAPACITY` bytes that are
        // read of the dimensions end within the cuts at the latest, which follow them.
        let (dimensions, cuts): ([u8; CAPACITY], _) =
            unsafe { (read(self.record, self.shape.dimensions_at), self.elements::<4>(self.shape.cuts_at)) };
        probe.narrow::<V>().sides(&dimensions, &cuts)
    }

    #[inline(always)]
    fn sides_one_by_one(&self, point: &[f32]) -> u32 {
        let mut sides = 0;
        for gap in 0..self.len - 1 {
            // SAFETY: the number of leaves has four bits, so a gap is below `CAPACITY`.
            let (dimension, cut) = unsafe { (self.dimension(gap), self.cut(gap)) };
            sides |= u32::from(point[dimension] > cut) << gap;
        }
        sides
    }

    /// Returns the leaf of a slot. If no leaf has the slot, the result is 32 or a leaf that the
    /// bucket does not have.
    #[inline(always)]
    pub(crate) fn find(&self, slot: u32) -> usize {
        // SAFETY: a slot has 1, 2 or 4 bytes, and each arm is for one of these sizes.
        let found = unsafe {
            match self.shape.slot_bytes {
                1 => self.find_in::<1>(slot),
                2 => self.find_in::<2>(slot),
                _ => self.find_in::<4>(slot),
            }
        };
        check!(found < self.len);
        found
    }

    /// Does the same for slots of `N` bytes.
    ///
    /// # Safety
    ///
    /// The slots of the record must have `N` bytes.
    #[inline(always)]
    unsafe fn find_in<const N: usize>(&self, slot: u32) -> usize {
        // SAFETY: the slots begin there, and the caller promises the size of each.
        let slots = unsafe { self.elements::<N>(self.shape.slots_at) };
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
    /// `last` must not exceed [`CAPACITY`] + 1.
    #[inline(always)]
    pub(crate) unsafe fn mass(&self, first: usize, last: usize, store: &Store) -> u32 {
        if store.all_distinct() {
            (last - first + 1) as u32
        } else {
            check!(last < self.len);
            // SAFETY: no leaf is beyond `last`, and the caller promises that `last` can be read.
            (first..=last).map(|leaf| store.count(unsafe { self.slot(leaf) })).sum()
        }
    }

    /// Returns an unpacked copy of the bucket.
    pub(crate) fn unpack(&self) -> Bucket {
        let mut bucket = Bucket::EMPTY;
        bucket.len = self.len;
        bucket.levels = self.levels;
        let shape = self.shape;
        let (slots_at, dimensions_at) = (shape.slots_at, shape.dimensions_at);
        let (slots, dimensions) = (&mut bucket.slots, &mut bucket.dimensions);
        // SAFETY: these are the positions of the three arrays of the record, each with the size of
        // its elements.
        unsafe {
            match shape.slot_bytes {
                1 => widen(slots, self.elements::<1>(slots_at), |[slot]| u32::from(slot)),
                2 => widen(slots, self.elements::<2>(slots_at), |slot| u32::from(u16::from_le_bytes(slot))),
                _ => widen(slots, self.elements::<4>(slots_at), u32::from_le_bytes),
            }
            match shape.dimension_bytes {
                1 => widen(dimensions, self.elements::<1>(dimensions_at), |[value]| u16::from(value)),
                _ => widen(dimensions, self.elements::<2>(dimensions_at), u16::from_le_bytes),
            }
            widen(&mut bucket.cuts, self.elements::<4>(shape.cuts_at), f32::from_le_bytes);
        }
        bucket
    }

    /// Returns the elements of an array. The second half is arbitrary if the record is a small one.
    ///
    /// # Safety
    ///
    /// An array of the record must begin at `start`, with elements of `N` bytes.
    #[inline(always)]
    unsafe fn elements<const N: usize>(&self, start: usize) -> [[u8; N]; CAPACITY] {
        // SAFETY: `new` was promised room for the shape. In a large record, every array
        // has `CAPACITY` elements. In a small one, `CAPACITY - SMALL` of them are missing, and the
        // read goes that many elements of at most four bytes beyond the array. The spare bytes
        // after the record are more.
        unsafe { read(self.record, start) }
    }
}

/// Widens the packed elements of an array. Elements beyond the shorter of both are left alone.
#[inline(always)]
fn widen<T, const N: usize>(wide: &mut [T], packed: [[u8; N]; CAPACITY], f: impl Fn([u8; N]) -> T) {
    for (wide, packed) in wide.iter_mut().zip(packed) {
        *wide = f(packed);
    }
}
