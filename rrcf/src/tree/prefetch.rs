//! Hints to the processor: what a tree will need soon.

use super::descend::Way;
use super::nodes::{Node, Tree};
use super::pool::Pool;
use crate::lanes::prefetch;
use crate::store::Store;

/// Bytes that a processor fetches at once.
const LINE: usize = 64;

impl Tree {
    /// Lets the processor fetch what is needed after a descent.
    #[inline(always)]
    pub(crate) fn prefetch(&self, way: &Way, pool: &Pool) {
        pool.prefetch(way.end);
        for node in way.path().rev().take(2) {
            pool.prefetch_box(self.nodes[node].bounds);
        }
    }

    /// Lets the processor fetch so many nodes, whether there are as many or not.
    #[inline(always)]
    pub(crate) fn prefetch_nodes(&self, count: usize) {
        for at in (0..count).step_by(LINE / size_of::<Node>() + 1) {
            prefetch(&self.nodes, at);
        }
    }
}

impl Way<'_> {
    /// Lets the processor fetch the points in the bucket that it ends in.
    #[inline(always)]
    pub(crate) fn prefetch_points(&self, pool: &Pool, store: &Store) {
        if let Some(bucket) = pool.view_bucket(self.end) {
            for leaf in 0..bucket.len {
                store.prefetch(bucket.slot(leaf));
            }
        }
    }
}
