//! The way of a point down by the cuts, in several trees at once.
//!
//! Every step of a way waits for the one before, and how many there are cannot be foreseen. So a few trees take their steps in
//! turns: while one waits for memory the others go on, and the processor mispredicts the end of the longest way only.

use alloc::vec;
use alloc::vec::Vec;

use super::placement::better;
use super::view::View;
use super::{CAPACITY, Link, Node, Tree};
use crate::eight::Eight;
use crate::lanes::Probe;
use crate::store::Store;

/// Trees that a point descends at once.
pub(crate) const TOGETHER: usize = 4;

/// The way of a point through the nodes of one tree.
#[derive(Clone)]
pub(crate) struct Way {
    /// The nodes passed, the root first; what stands behind the first `nodes` means nothing.
    path: Vec<u32>,
    pub(super) nodes: usize,
    /// What hangs below the last node.
    pub(super) end: Link,
    /// The largest displacement per point down to the last node, with the point counted in.
    pub(super) codisp: f64,
    /// Mass of the last node, with the point counted in.
    pub(super) mass: u32,
}

impl Way {
    pub(super) fn new() -> Self {
        Self { path: vec![0; 32], nodes: 0, end: Link::NOTHING, codisp: 0.0, mass: 0 }
    }

    #[inline(always)]
    pub(super) fn nodes(&self) -> &[u32] {
        &self.path[..self.nodes]
    }

    /// The last node.
    #[inline(always)]
    pub(super) fn last(&self) -> Option<u32> {
        self.nodes.checked_sub(1).map(|last| self.path[last])
    }

    pub(super) fn heap_bytes(&self) -> usize {
        crate::growth::heap_bytes(&self.path)
    }

    #[cold]
    #[inline(never)]
    fn lengthen(&mut self) {
        self.path.resize(2 * self.path.len(), 0);
    }
}

/// Lets a point descend at most [`TOGETHER`] trees of `held` points each, and adds `CHANGE` to the masses of the nodes it passes: −1
/// if it is about to leave, 1 if it is about to come in, 0 if it is only looked at.
#[inline(always)]
pub(crate) fn descend<const CHANGE: i32>(
    trees: &mut [Tree],
    ways: &mut [Way; TOGETHER],
    point: &[f32],
    held: u32,
) {
    if let Ok(trees) = <&mut [Tree; TOGETHER]>::try_from(&mut *trees) {
        descend_some::<CHANGE, TOGETHER>(trees, ways, point, held);
        return;
    }
    for (tree, way) in trees.iter_mut().zip(ways) {
        descend_some::<CHANGE, 1>(core::array::from_mut(tree), core::array::from_mut(way), point, held);
    }
}

#[inline(always)]
fn descend_some<const CHANGE: i32, const COUNT: usize>(
    trees: &mut [Tree; COUNT],
    ways: &mut [Way; COUNT],
    point: &[f32],
    held: u32,
) {
    let mut ends: [Link; COUNT] = core::array::from_fn(|i| trees[i].root);
    let mut arenas = trees.each_mut().map(|tree| Arena::new(&mut tree.nodes));
    let mut paths = ways.each_mut().map(|way| way.path.as_mut_slice());
    let mut counts = [0_u32; COUNT];
    let mut masses = [held as i32 + 1; COUNT];
    let mut codisps = [0.0; COUNT];
    let counted_in = i32::from(CHANGE == 0);
    let mut level = 0;
    loop {
        let mut going = 0;
        for i in 0..COUNT {
            // No branch here depends on the tree. The first node of an arena is none of the tree's: a way that has come to its end
            // steps on the spot there, because that node's children are made the end itself.
            let end = ends[i];
            let active = end.node_mask();
            going |= active;
            counts[i] = counts[i].wrapping_sub(active);
            arenas[i].at(0).children = [end; 2];
            let index = end.node_or_zero();
            paths[i][level] = index as u32;
            let node = arenas[i].at(index);
            node.mass = node.mass.wrapping_add_signed(CHANGE);
            if CHANGE >= 0 {
                let mass = (node.mass as i32).wrapping_add(counted_in);
                let sibling = masses[i].wrapping_sub(mass) & active as i32;
                masses[i] = masses[i].wrapping_sub(sibling);
                let ratio = f64::from(sibling) / f64::from(masses[i]);
                codisps[i] = if ratio > codisps[i] { ratio } else { codisps[i] };
            }
            ends[i] = node.side(point);
        }
        if going == 0 {
            break;
        }
        level += 1;
        if level == paths.iter().map(|path| path.len()).min().unwrap_or(0) {
            ways.iter_mut().for_each(Way::lengthen);
            paths = ways.each_mut().map(|way| way.path.as_mut_slice());
        }
    }
    for (i, way) in ways.iter_mut().enumerate() {
        way.nodes = counts[i] as usize;
        way.end = ends[i];
        way.mass = masses[i] as u32;
        way.codisp = codisps[i];
    }
}

/// The nodes of a tree, for who walks through several trees at once.
struct Arena<'a> {
    nodes: &'a mut [Node],
}

impl<'a> Arena<'a> {
    fn new(nodes: &'a mut [Node]) -> Self {
        Self { nodes }
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "the links of a tree lead to its nodes, and this is the innermost loop")]
    fn at(&mut self, index: usize) -> &mut Node {
        debug_assert!(index < self.nodes.len());
        // SAFETY: a tree has its first node from the beginning, never gives one up, and every link is made from the index of a node
        // that is there (`Tree::add_node`, `Tree::restore`).
        unsafe { self.nodes.get_unchecked_mut(index) }
    }
}

impl Tree {
    /// Walks one tree of `held` points as [`descend`] does, and leaves it as it is.
    pub(super) fn walk(&self, point: &[f32], held: u32, way: &mut Way) {
        (way.nodes, way.end, way.mass, way.codisp) = (0, self.root, held + 1, 0.0);
        while way.end.is_node() {
            let index = way.end.node();
            if way.nodes >= way.path.len() {
                way.lengthen();
            }
            way.path[way.nodes] = index as u32;
            way.nodes += 1;
            let node = &self.nodes[index];
            let sibling = way.mass - node.mass - 1;
            way.mass -= sibling;
            way.codisp = better(way.codisp, sibling, way.mass);
            way.end = node.side(point);
        }
    }
}

/// The stretches of a bucket's leaves, each inside the one before, that a point passes on its way to a leaf.
#[derive(Clone)]
pub(crate) struct Nest {
    /// Number of gaps passed; the stretch at this depth is the leaf.
    pub(super) depth: usize,
    /// The gap passed at each depth.
    gaps: [u8; CAPACITY],
    /// First leaf of the stretch at each depth, and the last one times 256: what is written as one is read back at once.
    stretches: [u32; CAPACITY],
    /// Points that stand in the stretch at each depth.
    masses: [u32; CAPACITY],
    /// The largest displacement per point down to each depth, with the point counted in.
    codisps: [f64; CAPACITY],
}

impl Nest {
    pub(super) const EMPTY: Self = Self {
        depth: 0,
        gaps: [0; CAPACITY],
        stretches: [0; CAPACITY],
        masses: [0; CAPACITY],
        codisps: [0.0; CAPACITY],
    };

    /// Follows the way on in a bucket.
    #[inline(always)]
    pub(super) fn follow<V: Eight, const NARROW: bool>(
        &mut self,
        bucket: &View,
        probe: &Probe,
        way: &Way,
        store: &Store,
    ) {
        // On which side of every cut the point is, whether the way comes by there or not: so no step waits for a comparison.
        let right = bucket.sides::<V, NARROW>(probe);
        let (mut first, mut last) = (0, bucket.len - 1);
        let mut mass = bucket.mass(first, last, store);
        let mut codisp = way.codisp;
        if way.nodes > 0 {
            codisp = better(codisp, way.mass - mass - 1, mass + 1);
        }
        let mut depth = 0;
        loop {
            self.stretches[depth % CAPACITY] = (first | last << 8) as u32;
            self.masses[depth % CAPACITY] = mass;
            self.codisps[depth % CAPACITY] = codisp;
            if first >= last {
                break;
            }
            let gap = bucket.levels.root_of(depth, first, last);
            self.gaps[depth % CAPACITY] = gap as u8;
            let right = ((right >> gap & 1) as usize).wrapping_neg();
            first = ((gap + 1) & right) | (first & !right);
            last = (last & right) | (gap & !right);
            let above = mass;
            mass = bucket.mass(first, last, store);
            codisp = better(codisp, above - mass, mass + 1);
            depth += 1;
        }
        self.depth = depth;
    }

    /// First and last leaf of the stretch at a depth.
    #[inline(always)]
    pub(super) fn stretch(&self, depth: usize) -> (usize, usize) {
        let stretch = self.stretches[depth % CAPACITY] as usize;
        (stretch & 0xff, stretch >> 8)
    }

    /// The leaf where the way ends.
    #[inline(always)]
    pub(super) fn leaf(&self) -> usize {
        self.stretch(self.depth).0
    }

    #[inline(always)]
    pub(super) fn gap(&self, depth: usize) -> usize {
        usize::from(self.gaps[depth % CAPACITY])
    }

    #[inline(always)]
    pub(super) fn mass(&self, depth: usize) -> u32 {
        self.masses[depth % CAPACITY]
    }

    #[inline(always)]
    pub(super) fn codisp(&self, depth: usize) -> f64 {
        self.codisps[depth % CAPACITY]
    }
}
