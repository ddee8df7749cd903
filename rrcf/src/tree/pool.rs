//! The memory that all trees of a forest share: the boxes of their nodes, and their buckets.
//!
//! Sharing saves space: one tree uses what another has freed, so all trees together need little
//! slack.

#![allow(unsafe_code, reason = "records and boxes are read without checks, and this is where they are made")]

use alloc::vec::Vec;

use super::bucket::{Bucket, CAPACITY, Opening, SMALL};
use super::link::Link;
use super::shape::{SPARE, Shape};
use super::view::View;
use crate::eight::LANES;
use crate::growth::{grow_slowly, heap_bytes};
use crate::lanes::{Bounds, prefetch};

const NONE: u32 = u32::MAX;
/// Records begin at multiples of this number of bytes.
const UNIT: usize = 4;

/// Space for a single leaf in the form of a bucket's record.
#[derive(Clone)]
pub(crate) struct LeafRecord([u8; Shape::LARGEST + SPARE]);

impl LeafRecord {
    pub(crate) fn new() -> Self {
        Self([0; Shape::LARGEST + SPARE])
    }
}

/// The result of inserting a leaf into a bucket.
#[allow(clippy::large_enum_variant, reason = "the value is short-lived, and boxing it would allocate")]
pub(crate) enum Inserted {
    /// The bucket is at this link now.
    At(Link),
    /// The bucket is too large for a record and has been removed from the pool.
    TooLarge(Bucket),
}

/// The boxes and buckets of a forest.
#[derive(Clone)]
pub(crate) struct Pool {
    width: usize,
    /// For each box `lo` and then `hi`, each as wide as a point. A few values follow the last box,
    /// so that whole vectors can be read.
    boxes: Vec<f32>,
    free_box: u32,
    /// Small and large records in any order, then [`SPARE`] bytes.
    records: Vec<u8>,
    shapes: [Shape; 2],
    /// The first free record of each size.
    free_records: [u32; 2],
}

impl Pool {
    /// Creates a pool for points of `width` values with slots below `slots`.
    pub(crate) fn new(width: usize, slots: usize) -> Self {
        Self {
            width,
            boxes: Vec::new(),
            free_box: NONE,
            records: Vec::new(),
            shapes: [Shape::new(SMALL, slots, width), Shape::new(CAPACITY, slots, width)],
            free_records: [NONE; 2],
        }
    }

    /// Returns all boxes. The box with index `i` begins at [`Pool::start`]`(i)`.
    #[inline(always)]
    pub(crate) fn boxes(&self) -> &[f32] {
        &self.boxes
    }

    #[inline(always)]
    pub(crate) fn boxes_mut(&mut self) -> &mut [f32] {
        &mut self.boxes
    }

    #[inline(always)]
    pub(crate) fn start(&self, index: u32) -> usize {
        index as usize * 2 * self.width
    }

    /// Returns the number of values of a point.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of boxes, including free ones.
    pub(crate) fn boxes_held(&self) -> usize {
        self.boxes.len() / (2 * self.width)
    }

    /// Reserves memory for `trees` more trees, assuming that they need as much as the existing
    /// ones.
    pub(crate) fn reserve(&mut self, trees: usize) {
        let held = self.boxes.len().saturating_sub(LANES);
        self.boxes.reserve_exact(held * trees + held * trees / 64);
        self.records.reserve_exact(self.records.len() * trees + self.records.len() * trees / 64);
    }

    /// Returns a box.
    ///
    /// # Safety
    ///
    /// The index must be that of a box that [`Pool::add_box`] has added.
    #[inline(always)]
    pub(crate) unsafe fn bounds(&self, index: u32) -> Bounds<'_> {
        let lo = self.start(index);
        // SAFETY: the caller promises that the box exists. All boxes have the width of the points,
        // and `new_box` leaves space after the last one.
        unsafe { Bounds::new(&self.boxes, lo, lo + self.width) }
    }

    /// Adds a box and returns its index. The caller fills in its values.
    #[inline(always)]
    pub(crate) fn add_box(&mut self) -> u32 {
        let index = self.free_box;
        if index == NONE {
            return self.new_box();
        }
        self.free_box = unchain(self.boxes[self.start(index)]);
        index
    }

    #[cold]
    #[inline(never)]
    fn new_box(&mut self) -> u32 {
        let held = self.boxes.len().saturating_sub(LANES);
        grow_slowly(&mut self.boxes, 2 * self.width + LANES);
        self.boxes.resize(held + 2 * self.width + LANES, 0.0);
        (held / (2 * self.width)) as u32
    }

    #[inline(always)]
    pub(crate) fn free_box(&mut self, index: u32) {
        let start = self.start(index);
        self.boxes[start] = chain(self.free_box);
        self.free_box = index;
    }

    /// Prefetches the record of a bucket.
    #[inline(always)]
    pub(crate) fn prefetch(&self, link: Link) {
        if !link.is_leaf() {
            let at = link.record() * UNIT;
            prefetch(&self.records, at);
            prefetch(&self.records, at + 64);
        }
    }

    /// Prefetches a box.
    #[inline(always)]
    pub(crate) fn prefetch_box(&self, index: u32) {
        prefetch(&self.boxes, self.start(index));
        prefetch(&self.boxes, self.start(index) + self.width);
    }

    /// Returns a view of a bucket or a leaf. `leaf` is the space for a leaf's record.
    #[inline(always)]
    pub(crate) fn view<'a>(&'a self, link: Link, leaf: &'a mut LeafRecord) -> View<'a> {
        let (large, at) = (link.large(), link.record() * UNIT);
        let shape = &self.shapes[usize::from(large)];
        if link.is_leaf() {
            // The record of a leaf is like a large one: no levels, one leaf, its slot.
            leaf.0[8..12].copy_from_slice(&(link.record() as u32).to_le_bytes());
            // SAFETY: a `LeafRecord` has room for the largest shape.
            return unsafe { View::new(&leaf.0, shape) };
        }
        // SAFETY: the slice has room for this shape: its size and the spare bytes.
        unsafe { View::new(&self.records[at..at + shape.size + SPARE], shape) }
    }

    /// Returns a view of a bucket, or `None` for a leaf.
    #[inline(always)]
    pub(crate) fn view_bucket(&self, link: Link) -> Option<View<'_>> {
        let (large, at) = (link.large(), link.record() * UNIT);
        let shape = &self.shapes[usize::from(large)];
        if link.is_leaf() {
            return None;
        }
        // SAFETY: the slice has room for this shape: its size and the spare bytes.
        Some(unsafe { View::new(&self.records[at..at + shape.size + SPARE], shape) })
    }

    /// Returns an unpacked copy of a bucket or a leaf.
    pub(crate) fn bucket(&self, link: Link) -> Bucket {
        if link == Link::NOTHING { Bucket::EMPTY } else { self.view(link, &mut LeafRecord::new()).unpack() }
    }

    /// Stores a bucket and returns its link.
    pub(crate) fn add(&mut self, bucket: &Bucket) -> Link {
        match bucket.len {
            0 => Link::NOTHING,
            1 => Link::to_leaf(bucket.slots[0]),
            len => {
                let large = len > SMALL;
                let at = self.add_record(large);
                let shape = self.shapes[usize::from(large)];
                // SAFETY: `record_mut` returns room for this shape. The shape is a large one if the
                // bucket needs it.
                unsafe { shape.pack(self.record_mut(at, &shape), bucket) };
                Link::to_bucket(large, at)
            }
        }
    }

    /// Stores a bucket in place of the one at `link`. Returns its new link.
    pub(crate) fn replace(&mut self, link: Link, bucket: &Bucket) -> Link {
        self.discard(link);
        self.add(bucket)
    }

    /// Frees the record of a bucket. A leaf has no record.
    pub(crate) fn discard(&mut self, link: Link) {
        if link.is_bucket() {
            let (large, at) = (usize::from(link.large()), link.record());
            let next = self.free_records[large].to_le_bytes();
            self.records[at * UNIT..][..4].copy_from_slice(&next);
            self.free_records[large] = at as u32;
        }
    }

    /// Removes a leaf from a bucket. Returns the link to the rest.
    ///
    /// # Safety
    ///
    /// The link must be that of a bucket of this pool that has a leaf with this slot.
    #[inline(always)]
    pub(crate) unsafe fn remove_leaf(&mut self, link: Link, slot: u32) -> Link {
        let shape = self.shapes[usize::from(link.large())];
        let record = self.record_mut(link.record(), &shape);
        let (len, leaf) = {
            // SAFETY: `record_mut` returns room for this shape.
            let view = unsafe { View::new(record, &shape) };
            (view.len, view.find(slot))
        };
        // A large record stays until it has a few leaves less than a small one has room for.
        // Otherwise a bucket near that size would move to and fro.
        let least = if shape.capacity == SMALL { 2 } else { SMALL - 2 };
        if len > least {
            // SAFETY: as above. The record holds `len` leaves, more than two. One of them is `leaf`,
            // because the caller promises that the bucket has the slot.
            unsafe { shape.remove(record, leaf) };
            return link;
        }
        if len == 2 {
            // SAFETY: as above; the record has two leaves, and `leaf` is one of them.
            let other = unsafe { View::new(record, &shape).slot(1 - leaf) };
            self.discard(link);
            return Link::to_leaf(other);
        }
        self.remove_and_move(link, leaf)
    }

    #[cold]
    #[inline(never)]
    fn remove_and_move(&mut self, link: Link, leaf: usize) -> Link {
        let mut bucket = self.bucket(link);
        bucket.remove(leaf);
        self.replace(link, &bucket)
    }

    /// Inserts a new leaf into a bucket of `len` leaves.
    ///
    /// # Safety
    ///
    /// The link must be that of a leaf, or of a bucket of this pool with `len` leaves. The opening
    /// must be at a stretch of them that the cuts of the bucket lead to, with its level.
    #[inline(always)]
    pub(crate) unsafe fn insert_leaf(&mut self, link: Link, len: usize, opening: &Opening) -> Inserted {
        let Opening { right, slot, cut, .. } = *opening;
        let shape = self.shapes[usize::from(link.large())];
        if link.is_leaf() {
            let other = link.record() as u32;
            let at = self.add_record(false);
            let shape = self.shapes[0];
            let slots = if right { [other, slot] } else { [slot, other] };
            // SAFETY: `record_mut` returns room for this shape.
            unsafe { shape.pack_two(self.record_mut(at, &shape), slots, cut) };
            return Inserted::At(Link::to_bucket(false, at));
        }
        if len < shape.capacity {
            // SAFETY: `record_mut` returns room for this shape. The caller promises that the record
            // holds `len` leaves, fewer than the capacity, and that the stretch is within them.
            unsafe { shape.insert(self.record_mut(link.record(), &shape), opening) };
            return Inserted::At(link);
        }
        self.insert_and_move(link, opening)
    }

    #[inline(never)]
    fn insert_and_move(&mut self, link: Link, opening: &Opening) -> Inserted {
        let mut bucket = self.bucket(link);
        bucket.insert(opening);
        if bucket.len > CAPACITY {
            self.discard(link);
            return Inserted::TooLarge(bucket);
        }
        Inserted::At(self.replace(link, &bucket))
    }

    /// Gives a leaf another slot. Returns the new link.
    ///
    /// # Safety
    ///
    /// The link must be that of a leaf, or of a bucket of this pool that has the leaf.
    #[inline(always)]
    pub(crate) unsafe fn rename(&mut self, link: Link, leaf: usize, slot: u32) -> Link {
        if link.is_leaf() {
            return Link::to_leaf(slot);
        }
        let shape = self.shapes[usize::from(link.large())];
        // SAFETY: `record_mut` returns room for this shape. The caller promises that the record has
        // the leaf, so it is below the capacity.
        unsafe { shape.set_slot(self.record_mut(link.record(), &shape), leaf, slot) };
        link
    }

    /// Returns a record with room for the shape.
    #[inline(always)]
    fn record_mut(&mut self, at: usize, shape: &Shape) -> &mut [u8] {
        &mut self.records[at * UNIT..][..shape.size + SPARE]
    }

    /// Adds a record and returns its position. The caller fills in its content.
    #[inline(always)]
    fn add_record(&mut self, large: bool) -> usize {
        let at = self.free_records[usize::from(large)];
        if at == NONE {
            return self.new_record(large);
        }
        self.free_records[usize::from(large)] = self.next(at);
        at as usize
    }

    #[cold]
    #[inline(never)]
    fn new_record(&mut self, large: bool) -> usize {
        let (held, size) = (self.held(), self.shapes[usize::from(large)].size);
        grow_slowly(&mut self.records, size + SPARE);
        self.records.resize(held + size + SPARE, 0);
        held / UNIT
    }

    /// Returns the bytes of all records, including free ones.
    fn held(&self) -> usize {
        self.records.len().saturating_sub(SPARE)
    }

    /// Returns the next free record after a free record.
    fn next(&self, at: u32) -> u32 {
        self.records[at as usize * UNIT..].first_chunk().map_or(NONE, |&next| u32::from_le_bytes(next))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.boxes) + heap_bytes(&self.records)
    }

    /// Returns the bytes of memory that the buckets occupy.
    pub(crate) fn bucket_bytes(&self) -> usize {
        heap_bytes(&self.records)
    }

    /// Returns the bytes of a small and of a large record.
    #[cfg(test)]
    pub(crate) fn record_sizes(&self) -> [usize; 2] {
        self.shapes.map(|shape| shape.size)
    }

    /// Returns the numbers of boxes, of free boxes, of free small and large records, and the bytes
    /// of all records.
    #[cfg(test)]
    pub(crate) fn census(&self) -> (usize, usize, [usize; 2], usize) {
        let mut free_boxes = 0;
        let mut next = self.free_box;
        while next != NONE {
            free_boxes += 1;
            next = unchain(self.boxes[self.start(next)]);
        }
        let free_records = self.free_records.map(|mut next| {
            let mut free = 0;
            while next != NONE {
                free += 1;
                next = self.next(next);
            }
            free
        });
        let boxes = self.boxes.len().saturating_sub(LANES) / (2 * self.width);
        (boxes, free_boxes, free_records, self.held())
    }
}

/// Encodes the index of the next free box as a finite number. Free boxes store it, and whole
/// vectors may read into a free box.
fn chain(next: u32) -> f32 {
    f32::from_bits(next.wrapping_add(1))
}

fn unchain(next: f32) -> u32 {
    next.to_bits().wrapping_sub(1)
}
