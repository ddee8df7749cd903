//! Forgetting a point: from its leaf up to the root, by parent links.

use super::{Link, NONE, Target, Tree};
use crate::bounds;
use crate::points::Points;

impl Tree {
    /// Takes the point at `slot` out of the tree. `point` is its value: the ring may hold another one there by now.
    pub(crate) fn forget(&mut self, slot: usize, point: &[f32], points: &Points) {
        let index = self.leaf_of[slot];
        let leaf = &mut self.leaves[index as usize];
        let parent = leaf.parent;
        if leaf.mass > 1 {
            leaf.mass -= 1;
            self.lighten(parent);
            return;
        }
        self.free_leaf(index);
        if parent == NONE {
            self.root = Link::NOTHING;
            return;
        }
        let node = &self.nodes[parent as usize];
        let above = node.parent;
        let leaf_is_right = node.children[1] == Link::to_leaf(index);
        let sibling = node.children[usize::from(!leaf_is_right)];
        self.set_parent(sibling, above);
        self.replace_child(above, Link::to_node(parent), sibling);
        self.free_node(parent);
        self.shrink(above, point, points);
    }

    /// Takes one point off the masses from a node up to the root.
    fn lighten(&mut self, mut index: u32) {
        while index != NONE {
            let node = &mut self.nodes[index as usize];
            node.mass -= 1;
            index = node.parent;
        }
    }

    /// Takes one point off the masses from a node up to the root, and shrinks boxes as far up as the point was on their boundary.
    fn shrink(&mut self, mut index: u32, point: &[f32], points: &Points) {
        while index != NONE {
            let (lo, hi) = self.bounds(Link::to_node(index), points);
            if !bounds::touches(lo, hi, point) || !self.fit_box(index as usize, points) {
                break;
            }
            let node = &mut self.nodes[index as usize];
            node.mass -= 1;
            index = node.parent;
        }
        self.lighten(index);
    }

    /// Makes the box of a node the smallest around its two children. Returns whether that changed it.
    pub(super) fn fit_box(&mut self, index: usize, points: &Points) -> bool {
        let width = points.width();
        let range = |node: usize| node * 2 * width..(node + 1) * 2 * width;
        let [left, right] = self.nodes[index].children;
        let own = range(index);
        match (left.target(), right.target()) {
            (Target::Node(left), Target::Node(right)) => {
                let Ok([own, left, right]) = self.boxes.get_disjoint_mut([own, range(left), range(right)])
                else {
                    unreachable!("a node and its children are three places of the arena")
                };
                let (lo, hi) = own.split_at_mut(width);
                bounds::merge(lo, hi, left.split_at(width), right.split_at(width))
            }
            (Target::Node(node), Target::Leaf(leaf)) | (Target::Leaf(leaf), Target::Node(node)) => {
                let point = points.point(self.leaves[leaf].slot as usize);
                let Ok([own, node]) = self.boxes.get_disjoint_mut([own, range(node)]) else {
                    unreachable!("a node and its child are two places of the arena")
                };
                let (lo, hi) = own.split_at_mut(width);
                bounds::merge(lo, hi, node.split_at(width), (point, point))
            }
            (Target::Leaf(left), Target::Leaf(right)) => {
                let left = points.point(self.leaves[left].slot as usize);
                let right = points.point(self.leaves[right].slot as usize);
                let (lo, hi) = self.boxes[own].split_at_mut(width);
                bounds::merge(lo, hi, (left, left), (right, right))
            }
            (Target::Nothing, _) | (_, Target::Nothing) => unreachable!("an inner node has two children"),
        }
    }
}
