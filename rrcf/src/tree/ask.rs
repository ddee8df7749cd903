//! Queries to a tree about a point.
//!
//! They check the width of the point and its way through the nodes, because a forest asks only a few
//! times per point. [`Tree::look`] is the query for a score.

#![allow(unsafe_code, reason = "buckets are read without checks")]

use alloc::vec::Vec;

use super::descend::Way;
use super::link::Link;
use super::nodes::Tree;
use super::pool::{LeafRecord, Pool};
use super::view::View;
use crate::store::Store;

impl Tree {
    /// Returns the slot that represents the value of the point, or `None` if the tree holds no
    /// equal point. Panics if the point does not have the width of the forest.
    pub(crate) fn duplicate(&self, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
        duplicate_at(self.end(point, pool), point, pool, store)
    }

    /// Gives the leaf of the point another slot. The tree must hold an equal point. Panics if the
    /// point does not have the width of the forest.
    pub(crate) fn rename(&mut self, point: &[f32], slot: u32, pool: &mut Pool) {
        let (parent, end) = self.last_and_end(point, pool);
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(end, &mut leaf);
        let at = leaf_of(&bucket, point);
        assert!(at < bucket.len, "the way through a bucket ends at one of its leaves");
        // SAFETY: the link is that of the bucket, which has the leaf.
        let link = unsafe { pool.rename(end, at, slot) };
        self.replace_child(parent, end, link);
    }

    /// Returns the slots of the points in the bucket that the point would go to. Panics if the point
    /// does not have the width of the forest.
    pub(crate) fn slots_in_bucket_of(&self, point: &[f32], pool: &Pool) -> Vec<u32> {
        let end = self.end(point, pool);
        if end == Link::NOTHING {
            return Vec::new();
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(end, &mut leaf);
        // SAFETY: a bucket has at most `CAPACITY` leaves.
        (0..bucket.len).map(|leaf| unsafe { bucket.slot(leaf) }).collect()
    }

    /// Returns the slot of the leaf that a point with missing values goes to. Where a missing value
    /// would decide, the point goes to the side with more points, or to the left if both sides have
    /// equally many. The tree must hold a point.
    pub(crate) fn likely(&self, point: &[f32], pool: &Pool, store: &Store) -> u32 {
        let mut here = self.root;
        while here.is_node() {
            let node = &self.nodes[here.node()];
            let value = point[node.dimension as usize];
            let right = if value.is_nan() {
                let [left, right] = node.children.map(|child| self.mass(child, pool, store));
                right > left
            } else {
                value > node.cut
            };
            here = node.children[usize::from(right)];
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(here, &mut leaf);
        let (mut first, mut last, mut level) = (0, bucket.len - 1, 0);
        while first < last {
            let gap = bucket.levels.root_of(level, first, last);
            // SAFETY: `root_of` returns a gap up to `CAPACITY`.
            let (dimension, cut) = unsafe { (bucket.dimension(gap), bucket.cut(gap)) };
            let value = point[dimension];
            let right = if value.is_nan() {
                // SAFETY: `last` is that of a bucket, or a gap up to `CAPACITY`.
                unsafe { bucket.mass(gap + 1, last, store) > bucket.mass(first, gap, store) }
            } else {
                value > cut
            };
            if right {
                first = gap + 1;
            } else {
                last = gap;
            }
            level += 1;
        }
        // SAFETY: `first` is at most one more than a gap.
        unsafe { bucket.slot(first) }
    }

    /// Returns the bucket or leaf that the cuts of the nodes lead a point to, or [`Link::NOTHING`]
    /// in an empty tree. Panics if the point does not have the width of the forest.
    fn end(&self, point: &[f32], pool: &Pool) -> Link {
        self.last_and_end(point, pool).1
    }

    /// Does the same, and also returns the last node on the way.
    fn last_and_end(&self, point: &[f32], pool: &Pool) -> (Option<usize>, Link) {
        assert_eq!(point.len(), pool.width(), "the point has the width of the forest");
        let (mut last, mut here) = (None, self.root);
        while here.is_node() {
            last = Some(here.node());
            let node = &self.nodes[here.node()];
            here = node.children[usize::from(point[node.dimension as usize] > node.cut)];
        }
        (last, here)
    }
}

impl Way<'_> {
    /// Returns the slot that represents the value of the point of this way, or `None` if the tree
    /// holds no equal point.
    pub(crate) fn duplicate(&self, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
        duplicate_at(self.end, point, pool, store)
    }
}

/// Returns the slot that represents the value of the point, or `None` if no equal point is at
/// `end`, where its way through the nodes ends.
fn duplicate_at(end: Link, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
    if end == Link::NOTHING {
        return None;
    }
    let mut leaf = LeafRecord::new();
    let bucket = pool.view(end, &mut leaf);
    // SAFETY: `leaf_of` returns a leaf that can be read.
    let slot = unsafe { bucket.slot(leaf_of(&bucket, point)) };
    (store.point(slot) == point).then_some(slot)
}

/// Returns the leaf of a bucket that the cuts lead a point to. It is at most `CAPACITY + 1`.
fn leaf_of(bucket: &View, point: &[f32]) -> usize {
    let (mut first, mut last, mut level) = (0, bucket.len - 1, 0);
    while first < last {
        let gap = bucket.levels.root_of(level, first, last);
        // SAFETY: `root_of` returns a gap up to `CAPACITY`.
        let (dimension, cut) = unsafe { (bucket.dimension(gap), bucket.cut(gap)) };
        if point[dimension] > cut {
            first = gap + 1;
        } else {
            last = gap;
        }
        level += 1;
    }
    first
}
