//! What a tree can be asked about a point without being changed.

use alloc::vec::Vec;

use super::descend::Way;
use super::link::Link;
use super::nodes::Tree;
use super::pool::{LeafRecord, Pool};
use super::view::View;
use crate::store::Store;

impl Tree {
    /// The slot that stands for the value of the point, if the tree holds one.
    pub(crate) fn duplicate(&self, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
        duplicate_at(self.end(point), point, pool, store)
    }

    /// Lets the leaf of the point have another slot.
    pub(crate) fn rename(&mut self, point: &[f32], slot: u32, pool: &mut Pool) {
        let (mut parent, mut here) = (None, self.root);
        while here.is_node() {
            parent = Some(here.node());
            here = self.nodes[here.node()].side(point);
        }
        let mut leaf = LeafRecord::new();
        let at = leaf_of(&pool.view(here, &mut leaf), point);
        let link = pool.rename(here, at, slot);
        self.replace_child(parent, here, link);
    }

    /// The slots of the points in the bucket that the point would come to.
    pub(crate) fn company(&self, point: &[f32], pool: &Pool) -> Vec<u32> {
        let end = self.end(point);
        if end == Link::NOTHING {
            return Vec::new();
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(end, &mut leaf);
        (0..bucket.len).map(|leaf| bucket.slot(leaf)).collect()
    }

    /// The slot of the leaf that the point comes to if wherever a value is missing it goes where more points are, and to the left
    /// of equally many. The tree must hold a point.
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
            let value = point[bucket.dimension(gap)];
            let right = if value.is_nan() {
                bucket.mass(gap + 1, last, store) > bucket.mass(first, gap, store)
            } else {
                value > bucket.cut(gap)
            };
            if right {
                first = gap + 1;
            } else {
                last = gap;
            }
            level += 1;
        }
        bucket.slot(first)
    }

    /// The bucket, leaf or nothing that the cuts of the nodes lead a point to.
    fn end(&self, point: &[f32]) -> Link {
        let mut here = self.root;
        while here.is_node() {
            here = self.nodes[here.node()].side(point);
        }
        here
    }
}

impl Way<'_> {
    /// The slot that stands for the value of the point whose way this is, if the tree holds one.
    pub(crate) fn duplicate(&self, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
        duplicate_at(self.end, point, pool, store)
    }
}

/// The slot that stands for the value of the point, if it is below what its way through the nodes ends in.
fn duplicate_at(end: Link, point: &[f32], pool: &Pool, store: &Store) -> Option<u32> {
    if end == Link::NOTHING {
        return None;
    }
    let mut leaf = LeafRecord::new();
    let bucket = pool.view(end, &mut leaf);
    let slot = bucket.slot(leaf_of(&bucket, point));
    (store.point(slot) == point).then_some(slot)
}

/// The leaf of a bucket that the cuts lead a point to.
fn leaf_of(bucket: &View, point: &[f32]) -> usize {
    let (mut first, mut last, mut level) = (0, bucket.len - 1, 0);
    while first < last {
        let gap = bucket.levels.root_of(level, first, last);
        if point[bucket.dimension(gap)] > bucket.cut(gap) {
            first = gap + 1;
        } else {
            last = gap;
        }
        level += 1;
    }
    first
}
