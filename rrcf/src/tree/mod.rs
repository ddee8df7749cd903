//! One random cut tree over the points of a forest.
//!
//! The upper part is a binary tree of nodes, each with its cut, its mass and its bounding box. Every subtree of at most
//! [`CAPACITY`] points below is a [bucket](Bucket) without nodes and boxes: what is asked of a box there, the points at hand
//! answer sooner than memory would. A leaf stands for all points of equal value. There are no links upwards: the cuts lead to any point.

mod ask;
mod bucket;
mod descend;
mod forget;
mod insert;
mod layout;
mod levels;
mod link;
mod locate;
mod nest;
mod placement;
mod pool;
mod restore;
mod view;
mod work;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use descend::{TOGETHER, Way, Ways, descend};
pub(crate) use forget::Departure;
pub(crate) use layout::{Layout, Malformed};
pub(crate) use locate::Arrival;
pub(crate) use nest::Nest;
pub(crate) use placement::Placement;
pub(crate) use pool::Pool;
pub(crate) use work::{Aside, Work};

use alloc::vec;
use alloc::vec::Vec;

use bucket::{Bucket, CAPACITY};
use link::Link;

use crate::growth::{grow_slowly, heap_bytes};
use crate::lanes::prefetch;
use crate::rng::Rng;

const NONE: u32 = u32::MAX;
/// Bytes that a processor fetches at once.
const LINE: usize = 64;

/// An inner node of more than [`CAPACITY`] points: a cut and the two subtrees it separates.
#[derive(Clone, Debug)]
struct Node {
    /// The left side holds `value <= cut`, the right side `value > cut`.
    cut: f32,
    dimension: u32,
    children: [Link; 2],
    /// Points below, duplicates counted.
    mass: u32,
    /// The box around them, in the pool; of a free place, the next free place.
    bounds: u32,
}

/// A random cut tree.
#[derive(Clone)]
pub(crate) struct Tree {
    rng: Rng,
    root: Link,
    free_node: u32,
    /// The first is not part of the tree, but a place to be while other trees are walked.
    nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, root: Link::NOTHING, free_node: NONE, nodes: vec![Node::UNLINKED] }
    }

    /// The random numbers, which are part of a snapshot.
    pub(crate) fn rng(&self) -> Rng {
        self.rng
    }

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

    /// Puts `new` where the child `old` of `parent` hangs, or at the root.
    #[inline(always)]
    fn replace_child(&mut self, parent: Option<usize>, old: Link, new: Link) {
        match parent {
            None => self.root = new,
            Some(parent) => {
                let children = &mut self.nodes[parent].children;
                let side = usize::from(children[1] == old);
                debug_assert!(children[side] == old);
                children[side] = new;
            }
        }
    }

    fn add_node(&mut self, node: Node) -> u32 {
        let index = self.free_node;
        if index == NONE {
            grow_slowly(&mut self.nodes, 4);
            self.nodes.push(node);
            return self.nodes.len() as u32 - 1;
        }
        let place = &mut self.nodes[index as usize];
        self.free_node = place.bounds;
        *place = node;
        index
    }

    /// Frees a node, and its box.
    fn free_node(&mut self, index: usize, pool: &mut Pool) {
        let node = &mut self.nodes[index];
        pool.free_box(node.bounds);
        node.bounds = self.free_node;
        self.free_node = index as u32;
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.nodes)
    }
}

impl Node {
    const UNLINKED: Self =
        Self { cut: 0.0, dimension: 0, children: [Link::NOTHING; 2], mass: 0, bounds: NONE };

    /// The child on the side of the cut where the point belongs.
    #[inline(always)]
    fn side(&self, point: &[f32]) -> Link {
        let [left, right] = self.children;
        core::hint::select_unpredictable(value(point, self.dimension as usize) > self.cut, right, left)
    }
}

/// A value of a point.
#[inline(always)]
#[allow(unsafe_code, reason = "the dimensions of cuts exist, and this is the innermost loop")]
fn value(point: &[f32], dimension: usize) -> f32 {
    debug_assert!(dimension < point.len());
    // SAFETY: all points of a forest have the same number of values, and cuts are drawn in, or checked against, these.
    unsafe { *point.get_unchecked(dimension) }
}
