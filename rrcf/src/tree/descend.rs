//! The descent of a point along the cuts, in several trees at once.
//!
//! Every step of a descent waits for the step before, and the number of steps cannot be predicted.
//! So several trees take their steps in turns. While one tree waits for memory the others continue,
//! and the processor mispredicts only the end of the longest way.

#![allow(
    unsafe_code,
    reason = "the descent is the innermost loop, and checking its indices would slow it down"
)]

use alloc::vec;
use alloc::vec::Vec;

use super::link::Link;
use super::nodes::{Node, Tree};
use super::placement::better;
use crate::eight::{Four, Quotients};

/// Number of trees that a point descends at once.
pub(crate) const TOGETHER: usize = 8;

/// The ways of a point through the nodes of several trees.
#[derive(Clone)]
pub(crate) struct Ways {
    /// The nodes passed in each tree, level by level. Elements after the end of a way are
    /// arbitrary.
    paths: Vec<[u32; TOGETHER]>,
    nodes: [u32; TOGETHER],
    ends: [Link; TOGETHER],
    codisps: [f64; TOGETHER],
    masses: [u32; TOGETHER],
}

/// The way of a point through the nodes of one tree.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    /// The levels, at least down to the last node.
    paths: &'a [[u32; TOGETHER]],
    tree: usize,
    /// The number of nodes on the way.
    pub(super) nodes: usize,
    /// The link below the last node.
    pub(super) end: Link,
    /// The largest displacement per point down to the last node, including the point itself.
    pub(super) codisp: f64,
    /// The mass of the last node, including the point itself.
    pub(super) mass: u32,
}

impl Ways {
    pub(super) fn new() -> Self {
        Self {
            paths: vec![[0; TOGETHER]; 16],
            nodes: [0; TOGETHER],
            ends: [Link::NOTHING; TOGETHER],
            codisps: [0.0; TOGETHER],
            masses: [0; TOGETHER],
        }
    }

    /// Returns the way through the tree with this number.
    #[inline(always)]
    pub(crate) fn way(&self, tree: usize) -> Way<'_> {
        let nodes = self.nodes[tree] as usize;
        let (end, codisp, mass) = (self.ends[tree], self.codisps[tree], self.masses[tree]);
        Way { paths: &self.paths[..nodes], tree, nodes, end, codisp, mass }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        crate::growth::heap_bytes(&self.paths)
    }

    #[cold]
    #[inline(never)]
    fn lengthen(&mut self) {
        self.paths.resize(2 * self.paths.len(), [0; TOGETHER]);
    }
}

impl Way<'_> {
    /// Returns the first `nodes` nodes of the way.
    #[inline(always)]
    pub(crate) fn first(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Returns the node with this index; the root has index 0.
    #[inline(always)]
    pub(super) fn node(&self, index: usize) -> usize {
        self.paths[index][self.tree] as usize
    }

    /// Returns all nodes, beginning with the root.
    #[inline(always)]
    pub(super) fn path(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.paths[..self.nodes].iter().map(|level| level[self.tree] as usize)
    }

    /// Returns the last node, or `None` if the way has no nodes.
    #[inline(always)]
    pub(super) fn last(&self) -> Option<usize> {
        self.nodes.checked_sub(1).map(|last| self.node(last))
    }
}

/// Leads a point down at most [`TOGETHER`] trees of `held` points each. Adds `CHANGE` to the masses
/// of the nodes on its way: −1 if the point leaves, 1 if it enters, 0 if it is only scored.
///
/// # Safety
///
/// The point must have the width of the forest that the trees are [parts of](super).
#[inline(always)]
pub(crate) unsafe fn descend<const CHANGE: i32>(
    trees: &mut [Tree],
    ways: &mut Ways,
    point: &[f32],
    held: u32,
) {
    let (eights, trees) = trees.as_chunks_mut::<{ 2 * FOUR }>();
    let mut first = 0;
    for eight in eights {
        // SAFETY: the caller promises that the point has the width of the forest.
        unsafe { descend_some::<CHANGE, 2>(eight, first, ways, point, held) };
        first += 2 * FOUR;
    }
    let (fours, trees) = trees.as_chunks_mut::<FOUR>();
    for four in fours {
        // SAFETY: as above.
        unsafe { descend_some::<CHANGE, 1>(four, first, ways, point, held) };
        first += FOUR;
    }
    for (number, tree) in (first..).zip(trees) {
        // SAFETY: as above.
        unsafe { tree.walk(point, held, ways, number) };
        for level in &ways.paths[..ways.nodes[number] as usize] {
            let node = &mut tree.nodes[level[number] as usize];
            node.mass = node.mass.wrapping_add_signed(CHANGE);
        }
    }
}

const FOUR: usize = 4;

/// Does the same for `FOURS` times four trees. The first of them has the number `first`.
///
/// # Safety
///
/// As for [`descend`].
#[inline(always)]
unsafe fn descend_some<const CHANGE: i32, const FOURS: usize>(
    trees: &mut [Tree],
    first: usize,
    ways: &mut Ways,
    point: &[f32],
    held: u32,
) {
    let (trees, _) = trees.as_chunks_mut::<FOUR>();
    let Ok(trees) = <&mut [[Tree; FOUR]; FOURS]>::try_from(trees) else { return };
    let mut ends = trees.each_ref().map(|four| Four::new(four.each_ref().map(|tree| tree.root.bits())));
    let mut arenas =
        trees.each_mut().map(|four| four.each_mut().map(|tree| Arena { nodes: &mut tree.nodes }));
    let mut counts = [Four::new([0; FOUR]); FOURS];
    let mut masses = [Four::new([held + 1; FOUR]); FOURS];
    let mut codisps = [Quotients::zero(); FOURS];
    let counted_in = Four::new([u32::from(CHANGE == 0); FOUR]);
    let mut level = 0;
    while ends.iter().fold(false, |going, ends| going | ends.any_sign()) {
        if level == ways.paths.len() {
            ways.lengthen();
        }
        let path = &mut ways.paths[level][first..first + FOURS * FOUR];
        level += 1;
        for (some, path) in path.as_chunks_mut::<FOUR>().0.iter_mut().enumerate() {
            // No branch here depends on a single tree. The first node of an arena is not part of
            // its tree: a way that has ended keeps visiting that node.
            let active = ends[some].sign();
            let indices = ends[some].and(active.half()).to_array();
            *path = indices;
            let (mut below, mut masses_below) = ([0; FOUR], [0; FOUR]);
            for i in 0..FOUR {
                // SAFETY: every link has the index of an existing node (`Tree::add_node`,
                // `Tree::restore`), and 0 is the index of the first node, which every tree has.
                let node = unsafe { arenas[some][i].at(indices[i] as usize) };
                node.mass = node.mass.wrapping_add_signed(CHANGE);
                masses_below[i] = node.mass;
                // SAFETY: the caller promises that the point has the width of the forest.
                below[i] = unsafe { node.side(point) }.bits();
            }
            counts[some] = counts[some].sub(active);
            ends[some] = Four::choose(active, Four::new(below), ends[some]);
            if CHANGE >= 0 {
                let siblings = masses[some].sub(Four::new(masses_below).add(counted_in)).and(active);
                masses[some] = masses[some].sub(siblings);
                codisps[some] = codisps[some].or_greater(siblings, masses[some]);
            }
        }
    }
    for some in 0..FOURS {
        let at = first + some * FOUR;
        ways.nodes[at..at + FOUR].copy_from_slice(&counts[some].to_array());
        ways.ends[at..at + FOUR].copy_from_slice(&ends[some].to_array().map(Link::from_bits));
        ways.masses[at..at + FOUR].copy_from_slice(&masses[some].to_array());
        ways.codisps[at..at + FOUR].copy_from_slice(&codisps[some].to_array());
    }
}

/// The nodes of one tree, during a descent of several trees.
struct Arena<'a> {
    nodes: &'a mut [Node],
}

impl Arena<'_> {
    /// Returns a node.
    ///
    /// # Safety
    ///
    /// The tree must have a node with this index. A tree never removes a node.
    #[inline(always)]
    unsafe fn at(&mut self, index: usize) -> &mut Node {
        check!(index < self.nodes.len());
        // SAFETY: the caller promises that the node exists.
        unsafe { self.nodes.get_unchecked_mut(index) }
    }
}

impl Tree {
    /// Walks one tree of `held` points like [`descend`], without changing it. Writes the way with
    /// the number `number`.
    ///
    /// # Safety
    ///
    /// As for [`descend`].
    pub(super) unsafe fn walk(&self, point: &[f32], held: u32, ways: &mut Ways, number: usize) {
        let (mut nodes, mut end, mut mass, mut codisp) = (0, self.root, held + 1, 0.0);
        while end.is_node() {
            let index = end.node();
            if nodes >= ways.paths.len() {
                ways.lengthen();
            }
            ways.paths[nodes][number] = index as u32;
            nodes += 1;
            let node = &self.nodes[index];
            let sibling = mass.wrapping_sub(node.mass).wrapping_sub(1);
            mass = mass.wrapping_sub(sibling);
            codisp = better(codisp, sibling, mass);
            // SAFETY: the caller promises that the point has the width of the forest.
            end = unsafe { node.side(point) };
        }
        ways.nodes[number] = nodes as u32;
        (ways.ends[number], ways.masses[number], ways.codisps[number]) = (end, mass, codisp);
    }
}
