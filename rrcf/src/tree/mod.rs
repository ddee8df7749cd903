//! One random cut tree over the points of the window.
//!
//! Inner nodes and leaves live in two arenas, linked by index, with the free places of each chained through their `parent`. The
//! boxes of the inner nodes stand in one flat vector; the box of a leaf is its point. A leaf stands for all points of equal value:
//! it counts them and names the slot of the newest, which is the last of them to leave the window.

mod forget;
mod insert;
mod placement;
mod restore;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use placement::Placement;
pub(crate) use restore::{Layout, Malformed};

use crate::growth::{heap_bytes, make_room};
use crate::points::Points;
use crate::rng::Rng;

/// No node: the parent of the root, the root of an empty tree, the end of a chain of free places.
const NONE: u32 = u32::MAX;
const LEAF_BIT: u32 = 1 << 31;

/// A link to a subtree: an inner node, a leaf, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

/// What a [`Link`] leads to, with the index in its arena.
enum Target {
    Nothing,
    Node(usize),
    Leaf(usize),
}

impl Link {
    const NOTHING: Self = Self(NONE);

    fn to_node(index: u32) -> Self {
        Self(index)
    }

    fn to_leaf(index: u32) -> Self {
        Self(index | LEAF_BIT)
    }

    fn target(self) -> Target {
        if self.0 & LEAF_BIT == 0 {
            Target::Node(self.0 as usize)
        } else if self == Self::NOTHING {
            Target::Nothing
        } else {
            Target::Leaf((self.0 & !LEAF_BIT) as usize)
        }
    }
}

/// An inner node: a cut and the two subtrees it separates.
#[derive(Clone, Debug)]
struct Node {
    /// The left side holds `value <= cut`, the right side `value > cut`.
    cut: f32,
    dimension: u32,
    children: [Link; 2],
    /// The node above; of a free place, the next free place.
    parent: u32,
    /// Points below, duplicates counted.
    mass: u32,
}

/// All points of one value.
#[derive(Clone, Debug)]
struct Leaf {
    /// Slot of the newest of them.
    slot: u32,
    /// The node above; of a free place, the next free place.
    parent: u32,
    /// How many they are.
    mass: u32,
}

/// A random cut tree.
#[derive(Clone)]
pub(crate) struct Tree {
    rng: Rng,
    root: Link,
    free_node: u32,
    free_leaf: u32,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    /// Per inner node `lo` and then `hi`, each as wide as a point.
    boxes: Vec<f32>,
    /// The leaf of every point, by slot.
    leaf_of: Vec<u32>,
}

impl Tree {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            root: Link::NOTHING,
            free_node: NONE,
            free_leaf: NONE,
            nodes: Vec::new(),
            leaves: Vec::new(),
            boxes: Vec::new(),
            leaf_of: Vec::new(),
        }
    }

    /// State of the random numbers, which is part of a snapshot.
    pub(crate) fn rng_state(&self) -> u64 {
        self.rng.state()
    }

    fn mass(&self, link: Link) -> u32 {
        match link.target() {
            Target::Nothing => 0,
            Target::Node(node) => self.nodes[node].mass,
            Target::Leaf(leaf) => self.leaves[leaf].mass,
        }
    }

    fn set_parent(&mut self, link: Link, parent: u32) {
        match link.target() {
            Target::Nothing => {}
            Target::Node(node) => self.nodes[node].parent = parent,
            Target::Leaf(leaf) => self.leaves[leaf].parent = parent,
        }
    }

    /// The box of a subtree as `(lo, hi)`.
    fn bounds<'a>(&'a self, link: Link, points: &'a Points) -> (&'a [f32], &'a [f32]) {
        match link.target() {
            Target::Nothing => (&[], &[]),
            Target::Node(node) => {
                let width = points.width();
                self.boxes[node * 2 * width..(node + 1) * 2 * width].split_at(width)
            }
            Target::Leaf(leaf) => {
                let point = points.point(self.leaves[leaf].slot as usize);
                (point, point)
            }
        }
    }

    /// Puts `new` where the child `old` of `parent` hangs; `parent` [`NONE`] means the root.
    fn replace_child(&mut self, parent: u32, old: Link, new: Link) {
        if parent == NONE {
            self.root = new;
        } else {
            let children = &mut self.nodes[parent as usize].children;
            let side = usize::from(children[1] == old);
            debug_assert!(children[side] == old);
            children[side] = new;
        }
    }

    fn add_leaf(&mut self, leaf: Leaf, window: usize) -> u32 {
        let index = self.free_leaf;
        if index == NONE {
            make_room(&mut self.leaves, 1, window);
            self.leaves.push(leaf);
            return self.leaves.len() as u32 - 1;
        }
        let place = &mut self.leaves[index as usize];
        self.free_leaf = place.parent;
        *place = leaf;
        index
    }

    fn free_leaf(&mut self, index: u32) {
        self.leaves[index as usize].parent = self.free_leaf;
        self.free_leaf = index;
    }

    /// Adds an inner node. Its box is left to the caller.
    fn add_node(&mut self, node: Node, width: usize, window: usize) -> u32 {
        let index = self.free_node;
        if index == NONE {
            make_room(&mut self.nodes, 1, window - 1);
            self.nodes.push(node);
            make_room(&mut self.boxes, 2 * width, 2 * width * (window - 1));
            self.boxes.resize(self.nodes.len() * 2 * width, 0.0);
            return self.nodes.len() as u32 - 1;
        }
        let place = &mut self.nodes[index as usize];
        self.free_node = place.parent;
        *place = node;
        index
    }

    fn free_node(&mut self, index: u32) {
        self.nodes[index as usize].parent = self.free_node;
        self.free_node = index;
    }

    fn set_leaf_of(&mut self, slot: usize, leaf: u32, slots: usize) {
        if slot >= self.leaf_of.len() {
            let missing = slot + 1 - self.leaf_of.len();
            make_room(&mut self.leaf_of, missing, slots);
            self.leaf_of.resize(slot + 1, NONE);
        }
        self.leaf_of[slot] = leaf;
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.nodes)
            + heap_bytes(&self.leaves)
            + heap_bytes(&self.boxes)
            + heap_bytes(&self.leaf_of)
    }
}
