//! The points that all trees of a forest share.
//!
//! A point has a *slot*. For the trees, points of equal value are one point: one slot represents
//! all of them and has their count.

use alloc::vec;
use alloc::vec::Vec;

use crate::eight::{Eight, LANES};
use crate::growth::{heap_bytes, make_room};
use crate::lanes::{load, prefetch};

/// The values of all points, and the count of each value.
#[derive(Clone)]
pub(crate) struct Store {
    /// The points, one after the other, then a few zeros, so that whole vectors can be read.
    values: Vec<f32>,
    /// Number of values between the starts of two slots. Less than `width` if points overlap.
    stride: usize,
    width: usize,
    /// For each slot, the number of points equal to the point at the slot, itself included. Zero if
    /// another slot represents the value.
    counts: Vec<u32>,
    len: usize,
    distinct: usize,
}

/// Number of values in 16 kilobytes. A smaller store is mostly in the first-level cache after a few
/// trees have read it.
const LARGE: usize = 4_096;

impl Store {
    pub(crate) fn new(stride: usize, width: usize) -> Self {
        Self { values: Vec::new(), stride, width, counts: Vec::new(), len: 0, distinct: 0 }
    }

    /// Returns the number of values of one point.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of points that the trees hold.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns one more than the largest slot that ever represented a point.
    pub(crate) fn slots(&self) -> u32 {
        self.counts.len() as u32
    }

    /// Returns the number of distinct points that the trees hold.
    pub(crate) fn distinct(&self) -> usize {
        self.distinct
    }

    /// Returns the index of the first value of a point.
    #[inline(always)]
    pub(crate) fn start(&self, slot: u32) -> usize {
        slot as usize * self.stride
    }

    #[inline(always)]
    pub(crate) fn point(&self, slot: u32) -> &[f32] {
        &self.values[self.start(slot)..][..self.width]
    }

    /// Returns eight values of a point, from index `at` on.
    ///
    /// # Safety
    ///
    /// The slot must have a point, and `at` must be the first dimension of one of its eights.
    #[inline(always)]
    #[allow(unsafe_code, reason = "see `load`")]
    pub(crate) unsafe fn lanes<V: Eight>(&self, slot: u32, at: usize) -> V {
        // SAFETY: the caller promises that the values exist; `extend` leaves space after them.
        unsafe { load(&self.values, self.start(slot) + at) }
    }

    /// Returns whether the store is so large that prefetching the points of a bucket saves time.
    pub(crate) fn is_large(&self) -> bool {
        self.values.len() > LARGE
    }

    /// Prefetches a point.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        let start = self.start(slot);
        prefetch(&self.values, start);
        prefetch(&self.values, start + self.width - 1);
    }

    /// Returns the number of points that the leaf of a slot represents.
    #[inline(always)]
    pub(crate) fn count(&self, slot: u32) -> u32 {
        self.counts.get(slot as usize).copied().unwrap_or(0)
    }

    /// Returns whether no two points are equal.
    #[inline(always)]
    pub(crate) fn all_distinct(&self) -> bool {
        self.distinct == self.len
    }

    /// Counts a point in. `duplicate` is the slot that represented its value so far; from now on,
    /// `slot` does.
    pub(crate) fn enter(&mut self, slot: u32, duplicate: Option<u32>) {
        let slots = slot as usize + 1;
        if slots > self.counts.len() {
            let missing = slots - self.counts.len();
            make_room(&mut self.counts, missing, usize::MAX);
            self.counts.resize(slots, 0);
        }
        let before = duplicate.map_or(0, |duplicate| core::mem::take(&mut self.counts[duplicate as usize]));
        self.counts[slot as usize] = before + 1;
        self.distinct += usize::from(duplicate.is_none());
        self.len += 1;
    }

    /// Counts out one point of the value that `slot` represents. Returns whether it was the last of
    /// its value.
    pub(crate) fn leave(&mut self, slot: u32) -> bool {
        let count = &mut self.counts[slot as usize];
        *count -= 1;
        let last = *count == 0;
        self.distinct -= usize::from(last);
        self.len -= 1;
        last
    }

    /// Lets the slot `to` represent the value that `from` represents.
    pub(crate) fn hand_over(&mut self, from: u32, to: u32) {
        self.counts[to as usize] = core::mem::take(&mut self.counts[from as usize]);
    }

    /// Returns the slots that represent values.
    pub(crate) fn standing(&self) -> impl Iterator<Item = u32> {
        (0..self.counts.len() as u32).filter(|&slot| self.count(slot) > 0)
    }

    /// Sets all counts. `counts` has the slots that represent values, each with the number of
    /// points of its value.
    pub(crate) fn recount(&mut self, slots: usize, counts: &[(u32, u32)]) {
        self.counts = vec![0; slots];
        for &(slot, count) in counts {
            self.counts[slot as usize] = count;
        }
        self.len = counts.iter().map(|&(_, count)| count as usize).sum();
        self.distinct = counts.len();
    }

    /// Returns the number of places, of one stride each, that can be written.
    pub(crate) fn places(&self) -> usize {
        self.values.len().saturating_sub(LANES) / self.stride
    }

    /// Grows the store to `places` places, filled with zeros. `limit` is the largest number that it
    /// will ever need.
    pub(crate) fn extend(&mut self, places: usize, limit: usize) {
        let size = places * self.stride + LANES;
        if size > self.values.len() {
            let extra = size - self.values.len();
            make_room(&mut self.values, extra, limit * self.stride + LANES);
            self.values.resize(size, 0.0);
        }
    }

    /// Writes one stride of values at a place. Turns `-0.0` into `0.0`, so that equal values have
    /// equal bits.
    pub(crate) fn write(&mut self, place: usize, values: &[f32]) {
        for (stored, &value) in self.values[place * self.stride..][..self.stride].iter_mut().zip(values) {
            *stored = value + 0.0;
        }
    }

    /// Returns the values at a place.
    pub(crate) fn read(&self, place: usize) -> &[f32] {
        &self.values[place * self.stride..][..self.stride]
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.values) + heap_bytes(&self.counts)
    }
}
