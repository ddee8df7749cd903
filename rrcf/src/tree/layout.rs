//! The *layout* of a tree: the part of it that cannot be computed from the rest.

use alloc::vec;
use alloc::vec::Vec;

use super::bucket::{Bucket, CAPACITY, Step};
use super::link::Link;
use super::nodes::{Node, Tree};
use super::pool::Pool;
use crate::store::Store;

/// A tree in pre-order, without boxes, masses and links. Leaves are in the order from left to
/// right.
#[derive(Default)]
pub(crate) struct Layout {
    /// For every node and leaf in pre-order: whether it is an inner node.
    pub(crate) inner: Vec<bool>,
    /// The dimension of every inner node's cut, in pre-order.
    pub(crate) dimensions: Vec<u16>,
    /// The value of every inner node's cut, in pre-order.
    pub(crate) cuts: Vec<f32>,
    /// The limits of every inner node's cut, in pre-order: the greatest value on its left and the
    /// least value on its right.
    pub(crate) gaps: Vec<(f32, f32)>,
    /// The slot of every leaf.
    pub(crate) slots: Vec<u32>,
    /// The leaves below every inner node, in pre-order, from index 1 on.
    subtrees: Vec<Subtree>,
    /// Number of inner nodes that are too large for a bucket.
    pub(super) nodes: usize,
    waiting: Vec<u32>,
}

/// The leaves below an inner node.
#[derive(Clone, Copy, Default)]
pub(super) struct Subtree {
    /// The number of the first leaf.
    pub(super) first: u32,
    /// The number of leaves on the left of the cut.
    pub(super) left: u32,
    /// The number of all leaves.
    pub(super) size: u32,
}

/// The reason why a layout is not a tree over the given points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

const SHAPE: Malformed = Malformed("the branches do not form a tree");

impl Layout {
    pub(crate) fn clear(&mut self) {
        self.inner.clear();
        self.dimensions.clear();
        self.cuts.clear();
        self.gaps.clear();
        self.slots.clear();
        self.subtrees.clear();
    }

    /// Computes the leaves below every inner node. Returns an error if the layout is not a tree
    /// over points of `width` values.
    pub(crate) fn measure(&mut self, width: usize) -> Result<(), Malformed> {
        let greatest = self.dimensions.iter().fold(0, |greatest, &dimension| dimension.max(greatest));
        if usize::from(greatest) >= width {
            return Err(Malformed("a cut has an impossible dimension"));
        }
        self.measure_branches()
    }

    /// Computes the leaves below every inner node. Returns an error if the branches are not a tree.
    pub(super) fn measure_branches(&mut self) -> Result<(), Malformed> {
        let Self { inner: branches, subtrees, waiting, .. } = self;
        subtrees.clear();
        subtrees.resize(self.dimensions.len() + 1, Subtree::default());
        // The sizes of subtrees whose parent has not come yet. The size of the next one to be used
        // is in `size`, the others are here.
        waiting.clear();
        waiting.resize(branches.len() + 1, 0);
        let (mut inner, mut first) = (self.dimensions.len(), self.slots.len() as u32);
        let (mut count, mut size, mut nodes) = (0, 0, 0);
        for &is_inner in branches.iter().rev() {
            // The next branch cannot be predicted, so this code has no branch on it. A leaf also
            // writes an element, which the next inner node overwrites.
            let step = usize::from(is_inner);
            if count < 2 * step || inner < step {
                return Err(SHAPE);
            }
            let sibling = waiting[count - step];
            waiting[count] = size;
            let left = size;
            size = if is_inner { size + sibling } else { 1 };
            first = first.wrapping_sub(1 - step as u32);
            subtrees[inner] = Subtree { first, left, size };
            nodes += usize::from(size as usize > CAPACITY) & step;
            inner -= step;
            count = count + 1 - 2 * step;
        }
        self.nodes = nodes;
        let whole = branches.is_empty() || (count == 1 && size as usize == self.slots.len());
        if whole && inner == 0 { Ok(()) } else { Err(SHAPE) }
    }

    /// Returns the leaves below the inner node with this number in pre-order.
    #[inline(always)]
    pub(super) fn subtree(&self, inner: usize) -> Subtree {
        self.subtrees[inner + 1]
    }
}

impl Tree {
    /// Writes the tree into `layout` and replaces its content.
    pub(crate) fn lay_out(&self, pool: &Pool, store: &Store, layout: &mut Layout) {
        layout.clear();
        let mut ahead = vec![self.root];
        while let Some(link) = ahead.pop() {
            if link.is_node() {
                let node = &self.nodes[link.node()];
                let [left, right] = node.children;
                let dimension = node.dimension as usize;
                layout.inner.push(true);
                layout.dimensions.push(dimension as u16);
                layout.cuts.push(node.cut);
                layout.gaps.push(self.gap(node, pool, store));
                ahead.extend([right, left]);
                continue;
            }
            let bucket = pool.bucket(link);
            for step in bucket.walk() {
                match step {
                    Step::Gap { gap, first, last } => {
                        layout.inner.push(true);
                        layout.dimensions.push(bucket.dimensions[gap]);
                        layout.cuts.push(bucket.cuts[gap]);
                        layout.gaps.push(gap_within(&bucket, gap, first, last, store));
                    }
                    Step::Leaf(leaf) => {
                        layout.inner.push(false);
                        layout.slots.push(bucket.slots[leaf]);
                    }
                }
            }
        }
    }

    /// Returns the limits of a node's cut: the greatest value on its left and the least value on
    /// its right, in the dimension of the cut.
    fn gap(&self, node: &Node, pool: &Pool, store: &Store) -> (f32, f32) {
        let dimension = node.dimension as usize;
        let [left, right] = node.children;
        (self.range(left, dimension, pool, store).1, self.range(right, dimension, pool, store).0)
    }

    /// Returns the least and the greatest value of a subtree in one dimension.
    fn range(&self, link: Link, dimension: usize, pool: &Pool, store: &Store) -> (f32, f32) {
        if link.is_node() {
            let lo = pool.start(self.nodes[link.node()].bounds) + dimension;
            return (pool.boxes()[lo], pool.boxes()[lo + store.width()]);
        }
        let bucket = pool.bucket(link);
        range_of(&bucket.slots[..bucket.len], dimension, store)
    }
}

/// Returns the least and the greatest value of the points in one dimension.
fn range_of(slots: &[u32], dimension: usize, store: &Store) -> (f32, f32) {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for &slot in slots {
        let value = store.point(slot)[dimension];
        range =
            (if value < range.0 { value } else { range.0 }, if value > range.1 { value } else { range.1 });
    }
    range
}

/// Returns the limits of the cut of a bucket's gap.
fn gap_within(bucket: &Bucket, gap: usize, first: usize, last: usize, store: &Store) -> (f32, f32) {
    let dimension = usize::from(bucket.dimensions[gap]);
    let (mut left, mut right) = (f32::NEG_INFINITY, f32::INFINITY);
    for leaf in first..=last {
        let value = store.point(bucket.slots[leaf])[dimension];
        let (on_left, on_right) =
            if leaf <= gap { (value, f32::INFINITY) } else { (f32::NEG_INFINITY, value) };
        left = left.max(on_left);
        right = right.min(on_right);
    }
    (left, right)
}
