//! Removing a point from a tree.

#![allow(unsafe_code, reason = "boxes and points are read in whole eights, without checks")]

use super::bucket::{Bucket, CAPACITY};
use super::descend::Way;
use super::link::Link;
use super::nodes::{Node, Tree};
use super::pool::Pool;
use crate::eight::Eight;
use crate::lanes::{Probe, chunks, load};
use crate::store::Store;

/// A point that leaves the trees.
pub(crate) struct Departure<'a> {
    pub(crate) probe: &'a Probe,
    /// The slot of its leaf, or `None` if equal points remain.
    pub(crate) leaf: Option<u32>,
}

impl Tree {
    /// Removes a point from the tree. Its way through the nodes is known, and the nodes do not
    /// count it any more. Returns how many nodes of the way remain. The caller must then
    /// [shrink](Tree::shrink) their boxes.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super). The bucket or leaf at the
    /// end of the way must have the slot of the departure, if there is one.
    #[inline(always)]
    pub(crate) unsafe fn forget(&mut self, departure: &Departure, mut way: Way, pool: &mut Pool) -> usize {
        if let Some(slot) = departure.leaf {
            // SAFETY: the caller promises the slot at the end of the way.
            unsafe { self.take_out(slot, &mut way, pool) };
        }
        if let Some(last) = way.last()
            && self.nodes[last].mass <= CAPACITY as u32
        {
            way.nodes -= 1;
            self.collapse(last, way.last(), pool);
        }
        way.nodes
    }

    /// Removes the leaf of a slot from the end of the way. If the end is a single leaf, removes its
    /// parent node too, also from the way.
    ///
    /// # Safety
    ///
    /// As for [`Tree::forget`].
    #[inline(always)]
    unsafe fn take_out(&mut self, slot: u32, way: &mut Way, pool: &mut Pool) {
        if way.end.is_leaf() {
            let Some(parent) = way.last() else {
                self.root = Link::NOTHING;
                return;
            };
            way.nodes -= 1;
            let [left, right] = self.nodes[parent].children;
            let sibling = if left == way.end { right } else { left };
            self.free_node(parent, pool);
            self.replace_child(way.last(), Link::to_node(parent as u32), sibling);
            return;
        }
        // SAFETY: the caller promises that the way leads to a bucket of this pool with the slot.
        let link = unsafe { pool.remove_leaf(way.end, slot) };
        if link != way.end {
            self.replace_child(way.last(), way.end, link);
        }
    }

    /// Replaces a node that has few enough points by one bucket.
    #[inline(never)]
    fn collapse(&mut self, index: usize, parent: Option<usize>, pool: &mut Pool) {
        let Node { cut, dimension, children: [left, right], .. } = self.nodes[index];
        let joined = Bucket::join(&pool.bucket(left), (dimension as u16, cut), &pool.bucket(right));
        pool.discard(left);
        pool.discard(right);
        let link = pool.add(&joined);
        self.free_node(index, pool);
        self.replace_child(parent, Link::to_node(index as u32), link);
    }

    /// Shrinks the boxes along the way, from the last node upwards, until a box does not change.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super), but the tree may have changed
    /// below the nodes of the way. They must still be in the tree.
    #[inline(always)]
    pub(crate) unsafe fn shrink<V: Eight, const EIGHTS: usize>(
        &self,
        probe: &Probe,
        pool: &mut Pool,
        store: &Store,
        way: &Way,
    ) {
        for index in way.path().rev() {
            // SAFETY: the caller promises the node and its forest, so the pool has its box.
            let bounds = unsafe { pool.bounds(self.nodes[index].bounds) };
            if !probe.touches::<V, EIGHTS>(bounds) {
                break;
            }
            // SAFETY: as above.
            if !unsafe { self.fit_box::<V, EIGHTS>(index, probe, pool, store) } {
                break;
            }
        }
    }

    /// Fits the box of a node to its two children. Returns whether this changed the box.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super). `index` must be that of a
    /// node in the tree, not of a free one.
    #[inline(always)]
    unsafe fn fit_box<V: Eight, const EIGHTS: usize>(
        &self,
        index: usize,
        probe: &Probe,
        pool: &mut Pool,
        store: &Store,
    ) -> bool {
        let node = &self.nodes[index];
        let width = store.width();
        let own = pool.start(node.bounds);
        let mut changed = false;
        for at in chunks::<EIGHTS>(width) {
            let mut lo = V::splat(f32::INFINITY);
            let mut hi = V::splat(f32::NEG_INFINITY);
            for child in node.children {
                if child.is_node() {
                    let start = pool.start(self.nodes[child.node()].bounds) + at;
                    // SAFETY: the pool is that of the forest, so it has the box of every node.
                    unsafe {
                        lo = lo.min(load(pool.boxes(), start));
                        hi = hi.max(load(pool.boxes(), start + width));
                    }
                } else if let Some(bucket) = pool.view_bucket(child) {
                    for leaf in 0..bucket.len {
                        // SAFETY: the store is that of the forest, so it has the point of every leaf.
                        let lanes: V = unsafe { store.lanes(bucket.slot(leaf), at) };
                        lo = lo.min(lanes);
                        hi = hi.max(lanes);
                    }
                } else {
                    // SAFETY: as above.
                    let lanes: V = unsafe { store.lanes(child.record() as u32, at) };
                    lo = lo.min(lanes);
                    hi = hi.max(lanes);
                }
            }
            // SAFETY: the pool is that of the forest, so it has the box of every node.
            changed |=
                unsafe { probe.replace::<V, EIGHTS>(pool.boxes_mut(), (own, own + width), at, (lo, hi)) };
        }
        changed
    }
}
