//! The upper part of a tree: its nodes.

use alloc::vec;
use alloc::vec::Vec;

use super::link::Link;
use super::pool::Pool;
use crate::growth::{grow_slowly, heap_bytes};
use crate::rng::Rng;

pub(super) const NONE: u32 = u32::MAX;

/// An inner node above more points than a bucket holds: a cut and the two subtrees that it
/// separates.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The left side holds `value <= cut`, the right side `value > cut`.
    pub(super) cut: f32,
    pub(super) dimension: u32,
    pub(super) children: [Link; 2],
    /// Number of points below, including duplicates.
    pub(super) mass: u32,
    /// The index in the pool of the box around them. For a free node, the index of the next free
    /// node.
    pub(super) bounds: u32,
}

/// A random cut tree.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(super) rng: Rng,
    pub(super) root: Link,
    pub(super) free_node: u32,
    /// The nodes. The first one is not part of the tree: a descent visits it after the way in this
    /// tree has ended.
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, root: Link::NOTHING, free_node: NONE, nodes: vec![Node::UNLINKED] }
    }

    /// Returns the random numbers, which a snapshot stores.
    pub(crate) fn rng(&self) -> Rng {
        self.rng
    }

    /// Replaces the child `old` of `parent` by `new`. Without a parent, replaces the root.
    #[inline(always)]
    pub(super) fn replace_child(&mut self, parent: Option<usize>, old: Link, new: Link) {
        match parent {
            None => self.root = new,
            Some(parent) => {
                let children = &mut self.nodes[parent].children;
                let side = usize::from(children[1] == old);
                check!(children[side] == old);
                children[side] = new;
            }
        }
    }

    pub(super) fn add_node(&mut self, node: Node) -> u32 {
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

    /// Frees a node and its box.
    pub(super) fn free_node(&mut self, index: usize, pool: &mut Pool) {
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
    pub(super) const UNLINKED: Self =
        Self { cut: 0.0, dimension: 0, children: [Link::NOTHING; 2], mass: 0, bounds: NONE };

    /// Returns the child on the point's side of the cut.
    ///
    /// # Safety
    ///
    /// The point must have a value in the dimension of the cut. A point with the width of the
    /// forest has one: the dimensions of cuts are drawn below the width, or checked against it when
    /// a snapshot is restored ([`Layout::measure`](super::Layout::measure)).
    #[inline(always)]
    #[allow(unsafe_code, reason = "this is the innermost loop")]
    pub(super) unsafe fn side(&self, point: &[f32]) -> Link {
        let [left, right] = self.children;
        check!((self.dimension as usize) < point.len());
        // SAFETY: the caller promises that the point has this value.
        let value = unsafe { *point.get_unchecked(self.dimension as usize) };
        core::hint::select_unpredictable(value > self.cut, right, left)
    }
}
