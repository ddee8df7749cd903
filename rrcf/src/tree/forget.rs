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
    #[inline(always)]
    pub(crate) fn forget(&mut self, departure: &Departure, mut way: Way, pool: &mut Pool) -> usize {
        if let Some(slot) = departure.leaf {
            self.take_out(slot, &mut way, pool);
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
    #[inline(always)]
    fn take_out(&mut self, slot: u32, way: &mut Way, pool: &mut Pool) {
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
        // SAFETY: the way of a point that the tree holds leads to the bucket of its leaf.
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
    #[inline(always)]
    pub(crate) fn shrink<V: Eight, const EIGHTS: usize>(
        &self,
        probe: &Probe,
        pool: &mut Pool,
        store: &Store,
        way: &Way,
    ) {
        for index in way.path().rev() {
            // SAFETY: a node has the index of a box that exists.
            let bounds = unsafe { pool.bounds(self.nodes[index].bounds) };
            if !probe.touches::<V, EIGHTS>(bounds) || !self.fit_box::<V, EIGHTS>(index, probe, pool, store) {
                break;
            }
        }
    }

    /// Fits the box of a node to its two children. Returns whether this changed the box.
    #[inline(always)]
    fn fit_box<V: Eight, const EIGHTS: usize>(
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
                    // SAFETY: a node has the index of a box that exists.
                    unsafe {
                        lo = lo.min(load(pool.boxes(), start));
                        hi = hi.max(load(pool.boxes(), start + width));
                    }
                } else if let Some(bucket) = pool.view_bucket(child) {
                    for leaf in 0..bucket.len {
                        // SAFETY: the leaves of a bucket have the slots of points.
                        let lanes: V = unsafe { store.lanes(bucket.slot(leaf), at) };
                        lo = lo.min(lanes);
                        hi = hi.max(lanes);
                    }
                } else {
                    // SAFETY: a leaf has the slot of a point.
                    let lanes: V = unsafe { store.lanes(child.record() as u32, at) };
                    lo = lo.min(lanes);
                    hi = hi.max(lanes);
                }
            }
            // SAFETY: a node has the index of a box that exists.
            changed |=
                unsafe { probe.replace::<V, EIGHTS>(pool.boxes_mut(), (own, own + width), at, (lo, hi)) };
        }
        changed
    }
}
