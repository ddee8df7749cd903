//! A tree to and from its *layout*: the part of it that cannot be computed again.

use super::{Leaf, Link, NONE, Node, Target, Tree};
use crate::points::Points;
use crate::rng::Rng;

/// A tree in pre-order, without boxes, masses and links.
#[derive(Default)]
pub(crate) struct Layout {
    /// For every node and leaf in pre-order: whether it is an inner node.
    pub(crate) inner: Vec<bool>,
    /// The cut of every inner node in pre-order, as dimension and value.
    pub(crate) cuts: Vec<(u32, f32)>,
    /// The age rank of the newest point of every leaf in pre-order: 0 is the oldest point of the window.
    pub(crate) leaves: Vec<u32>,
}

/// Why a layout is not a tree over the given points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Layout {
    fn clear(&mut self) {
        self.inner.clear();
        self.cuts.clear();
        self.leaves.clear();
    }
}

impl Tree {
    /// Bytes a tree takes after [`Tree::restore`], with `distinct` distinct points among `held` of `width` values.
    pub(crate) fn bytes_for(distinct: u64, held: u64, width: u64) -> u64 {
        let per_node = (size_of::<Node>() + 2 * size_of::<f32>() * width as usize) as u64;
        size_of::<Self>() as u64
            + distinct * size_of::<Leaf>() as u64
            + distinct.saturating_sub(1) * per_node
            + held * size_of::<u32>() as u64
    }

    /// Distinct points held.
    pub(crate) fn distinct(&self) -> usize {
        let mut free = 0;
        let mut next = self.free_leaf;
        while next != NONE {
            free += 1;
            next = self.leaves[next as usize].parent;
        }
        self.leaves.len() - free
    }

    /// Writes the tree down into `layout`, in place of what stands there.
    pub(crate) fn lay_out(&self, points: &Points, layout: &mut Layout) {
        layout.clear();
        let mut ahead = vec![self.root];
        while let Some(link) = ahead.pop() {
            match link.target() {
                Target::Nothing => {}
                Target::Node(index) => {
                    let node = &self.nodes[index];
                    layout.inner.push(true);
                    layout.cuts.push((node.dimension, node.cut));
                    ahead.extend([node.children[1], node.children[0]]);
                }
                Target::Leaf(index) => {
                    layout.inner.push(false);
                    layout.leaves.push(points.age(self.leaves[index].slot as usize) as u32);
                }
            }
        }
    }

    /// Builds the tree of a layout, or says why there is none.
    ///
    /// The layout must have as many leaves as there are distinct points. `newest_equal` gives, for the age rank of every point, the age rank of the newest point of equal value.
    pub(crate) fn restore(
        rng: Rng,
        layout: &Layout,
        newest_equal: &[u32],
        points: &Points,
    ) -> Result<Self, Malformed> {
        let mut tree = Self::new(rng);
        if newest_equal.is_empty() {
            return Ok(tree);
        }
        tree.nodes.reserve_exact(layout.cuts.len());
        tree.leaves.reserve_exact(layout.leaves.len());
        tree.link(layout, points)?;
        tree.assign_points(newest_equal, points)?;
        tree.boxes.reserve_exact(layout.cuts.len() * 2 * points.width());
        tree.boxes.resize(layout.cuts.len() * 2 * points.width(), 0.0);
        // Pre-order puts children behind their parents.
        for index in (0..tree.nodes.len()).rev() {
            tree.fit_box(index, points);
            let Node { cut, dimension, children: [left, right], .. } = tree.nodes[index];
            let greatest_left = tree.bounds(left, points).1[dimension as usize];
            let least_right = tree.bounds(right, points).0[dimension as usize];
            if !(greatest_left <= cut && cut < least_right) {
                return Err(Malformed("a cut does not part its points"));
            }
            tree.nodes[index].mass = tree.mass(left) + tree.mass(right);
        }
        Ok(tree)
    }

    /// Sets up nodes and leaves and the links between them.
    fn link(&mut self, layout: &Layout, points: &Points) -> Result<(), Malformed> {
        const SHAPE: Malformed = Malformed("the branches of a tree do not add up");
        let mut cuts = layout.cuts.iter();
        let mut leaves = layout.leaves.iter();
        let mut open: Vec<u32> = Vec::new();
        for (n, &inner) in layout.inner.iter().enumerate() {
            let parent = open.last().copied().unwrap_or(NONE);
            if n > 0 && parent == NONE {
                return Err(SHAPE);
            }
            let link = if inner {
                let &(dimension, cut) = cuts.next().ok_or(SHAPE)?;
                if dimension as usize >= points.width() {
                    return Err(Malformed("a cut has an impossible dimension"));
                }
                self.nodes.push(Node { cut, dimension, children: [Link::NOTHING; 2], parent, mass: 0 });
                Link::to_node(self.nodes.len() as u32 - 1)
            } else {
                let &age = leaves.next().ok_or(SHAPE)?;
                if age as usize >= points.len() {
                    return Err(Malformed("a leaf has no point"));
                }
                let slot = points.slot(age as usize) as u32;
                self.leaves.push(Leaf { slot, parent, mass: 0 });
                Link::to_leaf(self.leaves.len() as u32 - 1)
            };
            if parent == NONE {
                self.root = link;
            } else {
                let children = &mut self.nodes[parent as usize].children;
                let second = children[0] != Link::NOTHING;
                children[usize::from(second)] = link;
                if second {
                    open.pop();
                }
            }
            if inner {
                open.push(self.nodes.len() as u32 - 1);
            }
        }
        let complete = open.is_empty() && self.root != Link::NOTHING;
        if complete && cuts.next().is_none() && leaves.next().is_none() { Ok(()) } else { Err(SHAPE) }
    }

    /// Gives every point its leaf and every leaf its mass.
    ///
    /// There are as many leaves as distinct points. So if every newest point has a leaf, no older equal point has one too.
    fn assign_points(&mut self, newest_equal: &[u32], points: &Points) -> Result<(), Malformed> {
        let slots = (0..points.len()).map(|age| points.slot(age) + 1).max().unwrap_or(0);
        self.leaf_of.reserve_exact(slots);
        self.leaf_of.resize(slots, NONE);
        for (index, leaf) in self.leaves.iter().enumerate() {
            let place = &mut self.leaf_of[leaf.slot as usize];
            if *place != NONE {
                return Err(Malformed("a point stands in two leaves"));
            }
            *place = index as u32;
        }
        for (age, &newest) in newest_equal.iter().enumerate() {
            let leaf = self.leaf_of[points.slot(newest as usize)];
            if leaf == NONE {
                return Err(Malformed("a point stands in no leaf"));
            }
            self.leaves[leaf as usize].mass += 1;
            self.leaf_of[points.slot(age)] = leaf;
        }
        Ok(())
    }
}
