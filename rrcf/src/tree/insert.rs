//! Inserting a point: one pass from the root down to where the point becomes a leaf.

use super::{Leaf, Link, NONE, Node, Placement, Target, Tree};
use crate::bounds::{self, Cut};
use crate::points::Points;

impl Tree {
    /// Inserts the point at `slot` and returns where it came to lie.
    ///
    /// At every subtree on the way, the box takes in the point. If it grows, a cut through the grown box is drawn; where the cut falls
    /// between the old box and the point, it parts the two and the way ends. Otherwise the cut that is already there stays, which
    /// is what makes the tree a sample of the same distribution as one built anew (Guha et al. 2016, theorem 3). Masses are
    /// counted up and the score is gathered on the same way.
    pub(crate) fn insert(&mut self, slot: usize, points: &Points, weights: &[f64]) -> Placement {
        let point = points.point(slot);
        let width = point.len();
        let mut placement = Placement::AT_ROOT;
        let mut parent = NONE;
        let mut here = self.root;
        loop {
            match here.target() {
                Target::Nothing => {
                    let leaf = self.place_leaf(slot, NONE, points);
                    self.root = Link::to_leaf(leaf);
                    return placement;
                }
                Target::Node(index) => {
                    let (lo, hi) = self.boxes[index * 2 * width..(index + 1) * 2 * width].split_at_mut(width);
                    if !bounds::contains(lo, hi, point) {
                        let ranges = bounds::ranges(lo, hi, point, weights);
                        let drawn = self.rng.uniform() * ranges.total;
                        if drawn < ranges.excess {
                            let cut = bounds::cut_between(lo, hi, point, weights, drawn);
                            self.part(parent, here, cut, slot, points, &mut placement);
                            return placement;
                        }
                        bounds::grow(lo, hi, point);
                    }
                    let node = &mut self.nodes[index];
                    node.mass += 1;
                    let (mass, dimension) = (node.mass, node.dimension);
                    here = node.children[usize::from(point[dimension as usize] > node.cut)];
                    parent = index as u32;
                    let subtree = self.mass(here) + 1;
                    placement.step(mass - subtree, subtree, dimension);
                }
                Target::Leaf(index) => {
                    let other = points.point(self.leaves[index].slot as usize);
                    if point == other {
                        let leaf = &mut self.leaves[index];
                        leaf.mass += 1;
                        leaf.slot = slot as u32;
                        self.set_leaf_of(slot, index as u32, points.capacity());
                        return placement;
                    }
                    let ranges = bounds::ranges(other, other, point, weights);
                    let drawn = self.rng.uniform() * ranges.excess;
                    let cut = bounds::cut_between(other, other, point, weights, drawn);
                    self.part(parent, here, cut, slot, points, &mut placement);
                    return placement;
                }
            }
        }
    }

    /// Hangs a new node below `parent` that parts the point at `slot` from the subtree `here`.
    fn part(
        &mut self,
        parent: u32,
        here: Link,
        cut: Cut,
        slot: usize,
        points: &Points,
        placement: &mut Placement,
    ) {
        let point = points.point(slot);
        let width = point.len();
        let mass = self.mass(here);
        let dimension = cut.dimension as u32;
        let leaf = self.place_leaf(slot, NONE, points);
        let right = point[cut.dimension] > cut.value;
        let children = if right { [here, Link::to_leaf(leaf)] } else { [Link::to_leaf(leaf), here] };
        let node = Node { cut: cut.value, dimension, children, parent, mass: mass + 1 };
        let index = self.add_node(node, width, points.window());
        self.leaves[leaf as usize].parent = index;
        self.set_parent(here, index);
        self.replace_child(parent, here, Link::to_node(index));

        let start = index as usize * 2 * width;
        match here.target() {
            Target::Node(old) => {
                self.boxes.copy_within(old * 2 * width..(old + 1) * 2 * width, start);
            }
            Target::Leaf(old) => {
                let other = points.point(self.leaves[old].slot as usize);
                self.boxes[start..start + width].copy_from_slice(other);
                self.boxes[start + width..start + 2 * width].copy_from_slice(other);
            }
            Target::Nothing => {}
        }
        let (lo, hi) = self.boxes[start..start + 2 * width].split_at_mut(width);
        bounds::grow(lo, hi, point);
        placement.step(mass, 1, dimension);
    }

    fn place_leaf(&mut self, slot: usize, parent: u32, points: &Points) -> u32 {
        let leaf = self.add_leaf(Leaf { slot: slot as u32, parent, mass: 1 }, points.window());
        self.set_leaf_of(slot, leaf, points.capacity());
        leaf
    }
}
