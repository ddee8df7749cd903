//! Queries to a tree about a point.

#![allow(unsafe_code, reason = "nodes and buckets are read without checks")]

use alloc::vec::Vec;

use super::descend::Way;
use super::link::Link;
use super::nodes::Tree;
use super::pool::{LeafRecord, Pool};
use super::view::View;
use crate::store::Store;

impl Tree {
    /// Returns the slot that represents the value of the point, or `None` if the tree holds no
    /// equal point.
    pub(crate) fn duplicate(&self, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
        // SAFETY: the point is one of the forest.
        duplicate_at(unsafe { self.end(point) }, point, pool, store)
    }

    /// Gives the leaf of the point another slot.
    pub(crate) fn rename(&mut self, point: &[f32], slot: u32, pool: &mut Pool) {
        let (mut parent, mut here) = (None, self.root);
        while here.is_node() {
            parent = Some(here.node());
            // SAFETY: the point is one of the forest.
            here = unsafe { self.nodes[here.node()].side(point) };
        }
        let mut leaf = LeafRecord::new();
        let at = leaf_of(&pool.view(here, &mut leaf), point);
        // SAFETY: the leaf is one of this view.
        let link = unsafe { pool.rename(here, at, slot) };
        self.replace_child(parent, here, link);
    }

    /// Returns the slots of the points in the bucket that the point would go to.
    pub(crate) fn slots_in_bucket_of(&self, point: &[f32], pool: &Pool) -> Vec<u32> {
        // SAFETY: the point is one of the forest.
        let end = unsafe { self.end(point) };
        if end == Link::NOTHING {
            return Vec::new();
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(end, &mut leaf);
        // SAFETY: the bucket has these leaves.
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
            // SAFETY: the bucket has this gap.
            let (dimension, cut) = unsafe { (bucket.dimension(gap), bucket.cut(gap)) };
            let value = point[dimension];
            let right = if value.is_nan() {
                // SAFETY: the gap divides a stretch of the bucket.
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
        // SAFETY: the way through the gaps ends at a leaf.
        unsafe { bucket.slot(first) }
    }

    /// Returns the bucket or leaf that the cuts of the nodes lead a point to, or [`Link::NOTHING`]
    /// in an empty tree.
    ///
    /// # Safety
    ///
    /// The point must have as many values as those of the forest.
    unsafe fn end(&self, point: &[f32]) -> Link {
        let mut here = self.root;
        while here.is_node() {
            // SAFETY: the caller promises that the point has a value for every cut.
            here = unsafe { self.nodes[here.node()].side(point) };
        }
        here
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
    // SAFETY: the bucket has the leaf.
    let slot = unsafe { bucket.slot(leaf_of(&bucket, point)) };
    (store.point(slot) == point).then_some(slot)
}

/// Returns the leaf of a bucket that the cuts lead a point to.
fn leaf_of(bucket: &View, point: &[f32]) -> usize {
    let (mut first, mut last, mut level) = (0, bucket.len - 1, 0);
    while first < last {
        let gap = bucket.levels.root_of(level, first, last);
        // SAFETY: the bucket has this gap.
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
