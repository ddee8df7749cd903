//! Buffers that are reused from point to point.

#![allow(unsafe_code, reason = "boxes are read and written in whole eights, without checks")]

use alloc::vec;
use alloc::vec::Vec;

use super::bucket::CAPACITY;
use super::descend::Ways;
use super::pool::LeafRecord;
use super::view::View;
use crate::eight::{Eight, LANES};
use crate::growth::heap_bytes;
use crate::lanes::{Bounds, Boxed, InRegisters, MOST_EIGHTS, chunks, load, padded, store as write};
use crate::store::Store;

/// Buffers for a point's way through several trees.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) ways: Ways,
    pub(crate) aside: Aside,
}

/// Buffers for the end of a way, in a bucket.
#[derive(Clone)]
pub(crate) struct Aside {
    pub(super) leaf: LeafRecord,
    pub(super) boxes: Boxes,
}

/// Boxes inside a bucket.
#[derive(Clone)]
pub(super) struct Boxes {
    width: usize,
    /// For every leaf of a bucket, the box around all leaves between it and the leaf where the
    /// point's way ends.
    running: Vec<f32>,
    /// The box of one stretch of leaves, if it is not in registers: `lo` from index 0 on, `hi` from
    /// [`Boxes::upper`] on.
    level: Vec<f32>,
}

impl Work {
    pub(crate) fn new(width: usize) -> Self {
        let lanes = padded(width);
        let boxes = Boxes { width, running: vec![0.0; 2 * lanes * CAPACITY], level: vec![0.0; 2 * lanes] };
        Self { ways: Ways::new(), aside: Aside { leaf: LeafRecord::new(), boxes } }
    }

    /// Returns the bytes that the buffers need for points of `width` values.
    pub(crate) fn bytes_for(width: u64) -> u64 {
        2 * (CAPACITY as u64 + 1) * (width + LANES as u64) * size_of::<f32>() as u64
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.ways.heap_bytes() + heap_bytes(&self.aside.boxes.running) + heap_bytes(&self.aside.boxes.level)
    }
}

impl Boxes {
    /// Returns the index in `level` of the first upper bound.
    #[inline(always)]
    fn upper(&self) -> usize {
        self.level.len() / 2
    }

    /// Fills `running` for a bucket. `leaf` is the leaf where the way ends.
    ///
    /// # Safety
    ///
    /// The bucket must be one of a tree over the points of the store, and have the leaf. The points
    /// must have the width of the boxes, which is `EIGHTS` eights if that is not 0.
    #[inline(always)]
    pub(super) unsafe fn run<V: Eight, const EIGHTS: usize>(
        &mut self,
        bucket: &View,
        leaf: usize,
        store: &Store,
    ) {
        let stride = if EIGHTS > 0 { 2 * LANES * EIGHTS } else { self.level.len() };
        for at in chunks::<EIGHTS>(self.width) {
            // SAFETY: the caller promises that the leaves have the slots of points of the store.
            let end: V = unsafe { store.lanes(bucket.slot(leaf), at) };
            for leaves in [0..leaf + 1, leaf + 1..bucket.len] {
                // First from the leaf to the left end, then from the leaf to the right end.
                let (begin, count) = (leaves.start, leaves.end - leaves.start);
                let (mut lo, mut hi) = (end, end);
                for step in 0..count {
                    let i = if begin == 0 { leaf - step } else { begin + step };
                    // SAFETY: as above; `running` has a box of whole eights for every leaf.
                    unsafe {
                        let lanes: V = store.lanes(bucket.slot(i), at);
                        lo = lanes.min(lo);
                        hi = lanes.max(hi);
                        write(&mut self.running, i * stride + 2 * at, lo, LANES);
                        write(&mut self.running, i * stride + 2 * at + LANES, hi, LANES);
                    }
                }
            }
        }
    }

    /// Returns the box of a stretch of leaves that contains the end of the way.
    ///
    /// # Safety
    ///
    /// [`Boxes::run`] must have run with the same `EIGHTS` for a bucket that has these leaves.
    #[inline(always)]
    pub(super) unsafe fn fit<V: Eight, const EIGHTS: usize>(
        &mut self,
        first: usize,
        last: usize,
    ) -> Fitted<'_, V, EIGHTS> {
        let stride = if EIGHTS > 0 { 2 * LANES * EIGHTS } else { self.level.len() };
        let upper = self.upper();
        let mut held = [InRegisters { lo: V::splat(0.0), hi: V::splat(0.0) }; MOST_EIGHTS];
        for at in chunks::<EIGHTS>(self.width) {
            let (one, other) = (first * stride + 2 * at, last * stride + 2 * at);
            // SAFETY: `running` has a box of whole eights for every leaf of a bucket.
            let lanes = |at: usize| unsafe { load::<V>(&self.running, at) };
            let lo = lanes(one).min(lanes(other));
            let hi = lanes(one + LANES).max(lanes(other + LANES));
            if EIGHTS > 0 {
                held[at / LANES] = InRegisters { lo, hi };
            } else {
                // SAFETY: `level` has a box of whole eights.
                unsafe {
                    write(&mut self.level, at, lo, LANES);
                    write(&mut self.level, upper + at, hi, LANES);
                }
            }
        }
        // SAFETY: `level` has a box of whole eights.
        Fitted { held, wide: unsafe { Bounds::new(&self.level, 0, upper) } }
    }

    /// Returns the same box again, directly after a call of [`Boxes::fit`].
    ///
    /// # Safety
    ///
    /// As for [`Boxes::fit`].
    #[inline(always)]
    pub(super) unsafe fn fit_again<V: Eight, const EIGHTS: usize>(
        &mut self,
        first: usize,
        last: usize,
    ) -> Fitted<'_, V, EIGHTS> {
        if EIGHTS > 0 {
            // SAFETY: the caller promises the same.
            return unsafe { self.fit(first, last) };
        }
        let held = [InRegisters { lo: V::splat(0.0), hi: V::splat(0.0) }; MOST_EIGHTS];
        // SAFETY: `level` has a box of whole eights.
        Fitted { held, wide: unsafe { Bounds::new(&self.level, 0, self.upper()) } }
    }
}

/// The box of a stretch of leaves. It is in registers if the number of eights is known at compile
/// time.
#[derive(Clone, Copy)]
pub(super) struct Fitted<'a, V, const EIGHTS: usize> {
    held: [InRegisters<V>; MOST_EIGHTS],
    wide: Bounds<'a>,
}

impl<V: Eight, const EIGHTS: usize> Boxed<V> for Fitted<'_, V, EIGHTS> {
    #[inline(always)]
    fn lower(&self, at: usize) -> V {
        if EIGHTS > 0 { self.held[at / LANES].lo } else { self.wide.lower(at) }
    }

    #[inline(always)]
    fn upper(&self, at: usize) -> V {
        if EIGHTS > 0 { self.held[at / LANES].hi } else { self.wide.upper(at) }
    }
}
