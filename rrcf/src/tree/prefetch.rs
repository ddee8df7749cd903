//! Hints to the processor about memory that a tree will need soon.

#![allow(unsafe_code, reason = "buckets are read without checks")]

use super::descend::Way;
use super::nodes::{Node, Tree};
use super::pool::Pool;
use crate::lanes::prefetch;
use crate::store::Store;

/// Bytes of a cache line.
const LINE: usize = 64;

impl Tree {
    /// Prefetches the memory that is needed after a descent: the bucket, and the boxes of the last
    /// two nodes.
    #[inline(always)]
    pub(crate) fn prefetch(&self, way: &Way, pool: &Pool) {
        pool.prefetch(way.end);
        for node in way.path().rev().take(2) {
            pool.prefetch_box(self.nodes[node].bounds);
        }
    }

    /// Prefetches the first `count` nodes. The tree may have fewer.
    #[inline(always)]
    pub(crate) fn prefetch_nodes(&self, count: usize) {
        for at in (0..count).step_by(LINE / size_of::<Node>() + 1) {
            prefetch(&self.nodes, at);
        }
    }
}

impl Way<'_> {
    /// Prefetches the points in the bucket where the way ends.
    #[inline(always)]
    pub(crate) fn prefetch_points(&self, pool: &Pool, store: &Store) {
        if let Some(bucket) = pool.view_bucket(self.end) {
            for leaf in 0..bucket.len {
                // SAFETY: the bucket has this leaf.
                store.prefetch(unsafe { bucket.slot(leaf) });
            }
        }
    }
}
