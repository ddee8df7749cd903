//! The points that all trees of a forest share.
//!
//! A point has a *slot*. Points of equal value are one to the trees: one slot stands for all of them, and has their count.

use alloc::vec;
use alloc::vec::Vec;

use crate::eight::{Eight, LANES};
use crate::growth::{heap_bytes, make_room};
use crate::lanes::{load, prefetch};

/// The values of all points, and how many there are of each.
#[derive(Clone)]
pub(crate) struct Store {
    /// Point after point; a few zeros behind the last, so that whole vectors can be read.
    values: Vec<f32>,
    /// Values from the beginning of one slot to that of the next. Less than `width` where points overlap.
    stride: usize,
    width: usize,
    /// By slot: points equal to that at the slot, itself included; zero where another slot stands for it.
    counts: Vec<u32>,
    len: usize,
    distinct: usize,
}

/// So many values are 16 kilobytes: of fewer, most are in the nearest cache once a few trees have asked for theirs.
const LARGE: usize = 4_096;

impl Store {
    pub(crate) fn new(stride: usize, width: usize) -> Self {
        Self { values: Vec::new(), stride, width, counts: Vec::new(), len: 0, distinct: 0 }
    }

    /// Values of one point.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Points the trees hold.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One more than the largest slot that ever stood for a point.
    pub(crate) fn slots(&self) -> u32 {
        self.counts.len() as u32
    }

    /// Different points the trees hold.
    pub(crate) fn distinct(&self) -> usize {
        self.distinct
    }

    /// Where in the values a point begins.
    #[inline(always)]
    pub(crate) fn start(&self, slot: u32) -> usize {
        slot as usize * self.stride
    }

    #[inline(always)]
    pub(crate) fn point(&self, slot: u32) -> &[f32] {
        &self.values[self.start(slot)..][..self.width]
    }

    /// Eight values of a point, from that of index `at` on.
    #[inline(always)]
    pub(crate) fn lanes<V: Eight>(&self, slot: u32, at: usize) -> V {
        load(&self.values, self.start(slot) + at)
    }

    /// Whether there are so many points that it pays to ask for those of a bucket beforehand.
    pub(crate) fn is_large(&self) -> bool {
        self.values.len() > LARGE
    }

    /// Lets the processor fetch a point.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        let start = self.start(slot);
        prefetch(&self.values, start);
        prefetch(&self.values, start + self.width - 1);
    }

    /// How many points the leaf of a slot stands for.
    #[inline(always)]
    pub(crate) fn count(&self, slot: u32) -> u32 {
        self.counts.get(slot as usize).copied().unwrap_or(0)
    }

    /// Whether no two points are equal.
    #[inline(always)]
    pub(crate) fn all_distinct(&self) -> bool {
        self.distinct == self.len
    }

    /// Counts a point in. `duplicate` is the slot that stood for its value so far; from now on, `slot` does.
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

    /// Counts a point out whose value `slot` stands for. Returns whether it was the last of its value.
    pub(crate) fn leave(&mut self, slot: u32) -> bool {
        let count = &mut self.counts[slot as usize];
        *count -= 1;
        let last = *count == 0;
        self.distinct -= usize::from(last);
        self.len -= 1;
        last
    }

    /// Lets another slot stand for the value that `from` stands for.
    pub(crate) fn hand_over(&mut self, from: u32, to: u32) {
        self.counts[to as usize] = core::mem::take(&mut self.counts[from as usize]);
    }

    /// The slots that stand for values.
    pub(crate) fn standing(&self) -> impl Iterator<Item = u32> {
        (0..self.counts.len() as u32).filter(|&slot| self.count(slot) > 0)
    }

    /// Sets all counts: slots that stand for values, each with the number of points of its value.
    pub(crate) fn recount(&mut self, slots: usize, counts: &[(u32, u32)]) {
        self.counts = vec![0; slots];
        for &(slot, count) in counts {
            self.counts[slot as usize] = count;
        }
        self.len = counts.iter().map(|&(_, count)| count as usize).sum();
        self.distinct = counts.len();
    }

    /// Places of one stride each that are there to be written.
    pub(crate) fn places(&self) -> usize {
        self.values.len().saturating_sub(LANES) / self.stride
    }

    /// Makes places up to `places` in all, of at most `limit` ever, filled with zeros.
    pub(crate) fn extend(&mut self, places: usize, limit: usize) {
        let size = places * self.stride + LANES;
        if size > self.values.len() {
            let extra = size - self.values.len();
            make_room(&mut self.values, extra, limit * self.stride + LANES);
            self.values.resize(size, 0.0);
        }
    }

    /// Writes a stride of values at a place. `-0.0` becomes `0.0`, so that equal means same bits.
    pub(crate) fn write(&mut self, place: usize, values: &[f32]) {
        for (stored, &value) in self.values[place * self.stride..][..self.stride].iter_mut().zip(values) {
            *stored = value + 0.0;
        }
    }

    /// The values at a place.
    pub(crate) fn read(&self, place: usize) -> &[f32] {
        &self.values[place * self.stride..][..self.stride]
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.values) + heap_bytes(&self.counts)
    }
}
