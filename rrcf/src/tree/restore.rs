//! A tree to and from its *layout*: the part of it that cannot be computed again.

use alloc::vec;
use alloc::vec::Vec;

use super::bucket::Step;
use super::pool::LeafRecord;
use super::{Bucket, CAPACITY, Link, NONE, Node, Pool, Target, Tree};
use crate::eight::Baseline;
use crate::rng::Rng;
use crate::store::Store;

/// A tree in pre-order, without boxes, masses and links. Leaves come out from left to right.
#[derive(Default)]
pub(crate) struct Layout {
    /// For every node and leaf in pre-order: whether it is an inner node.
    pub(crate) inner: Vec<bool>,
    /// The dimension of every inner node's cut, in pre-order.
    pub(crate) dimensions: Vec<u16>,
    /// The value of every inner node's cut, in pre-order.
    pub(crate) cuts: Vec<f32>,
    /// What the cut of every inner node has to part, in pre-order: the greatest value on its left and the least on its right.
    pub(crate) gaps: Vec<(f32, f32)>,
    /// The slot of every leaf.
    pub(crate) slots: Vec<u32>,
    /// Leaves below every inner node, in pre-order.
    sizes: Vec<u32>,
}

/// Why a layout is not a tree over the given points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

const SHAPE: Malformed = Malformed("the branches of a tree do not add up");

impl Layout {
    pub(crate) fn clear(&mut self) {
        self.inner.clear();
        self.dimensions.clear();
        self.cuts.clear();
        self.gaps.clear();
        self.slots.clear();
        self.sizes.clear();
    }

    /// Counts the leaves below every inner node, or says that this is no tree over points of so many values.
    pub(crate) fn measure(&mut self, width: usize) -> Result<(), Malformed> {
        if self.dimensions.iter().any(|&dimension| usize::from(dimension) >= width) {
            return Err(Malformed("a cut has an impossible dimension"));
        }
        self.measure_sizes()
    }

    /// Counts the leaves below every inner node, or says that the branches are no tree.
    fn measure_sizes(&mut self) -> Result<(), Malformed> {
        self.sizes.clear();
        self.sizes.resize(self.dimensions.len(), 0);
        let mut inner = self.dimensions.len();
        let mut waiting: Vec<u32> = Vec::new();
        for &is_inner in self.inner.iter().rev() {
            if is_inner {
                let (Some(left), Some(right)) = (waiting.pop(), waiting.pop()) else { return Err(SHAPE) };
                inner = inner.checked_sub(1).ok_or(SHAPE)?;
                self.sizes[inner] = left + right;
                waiting.push(left + right);
            } else {
                waiting.push(1);
            }
        }
        let whole = self.inner.is_empty() || waiting == [self.slots.len() as u32];
        if whole && inner == 0 { Ok(()) } else { Err(SHAPE) }
    }

    /// Inner nodes too large for a bucket.
    fn nodes(&self) -> usize {
        self.sizes.iter().filter(|&&size| size as usize > CAPACITY).count()
    }

    /// Whether every cut parts its points strictly.
    fn check_cuts(&self) -> Result<(), Malformed> {
        let parts = |(&cut, &(left, right)): (&f32, &(f32, f32))| left <= cut && cut < right;
        let all = self.cuts.len() == self.gaps.len() && self.cuts.iter().zip(&self.gaps).all(parts);
        if all { Ok(()) } else { Err(Malformed("a cut does not part its points")) }
    }
}

/// A subtree yet to be built, and where it is to hang.
struct Ahead {
    parent: u32,
    side: usize,
}

impl Tree {
    /// Bytes that the nodes and boxes of a tree with this layout will take.
    pub(crate) fn bytes_for(layout: &Layout, width: usize) -> u64 {
        (layout.nodes() * (size_of::<Node>() + 2 * size_of::<f32>() * width)) as u64
    }

    /// Writes the tree down into `layout`, in place of what stands there.
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

    /// Builds the tree of a layout that has been measured. The cuts are still missing, and what they have to part is put
    /// into the layout.
    pub(crate) fn restore(rng: Rng, layout: &mut Layout, pool: &mut Pool, store: &Store) -> Self {
        layout.gaps.clear();
        let mut tree = Self::new(rng);
        if layout.slots.is_empty() {
            return tree;
        }
        tree.nodes.reserve_exact(layout.nodes());
        let mut ahead = vec![Ahead { parent: NONE, side: 0 }];
        let (mut at, mut inner, mut leaf) = (0, 0, 0);
        while let Some(Ahead { parent, side }) = ahead.pop() {
            let size = if layout.inner[at] { layout.sizes[inner] as usize } else { 1 };
            let link = if size > CAPACITY {
                let dimension = u32::from(layout.dimensions[inner]);
                let node = tree.nodes.len() as u32;
                let children = [Link::NOTHING; 2];
                tree.nodes.push(Node { cut: 0.0, dimension, children, mass: 0, bounds: pool.add_box() });
                ahead.push(Ahead { parent: node, side: 1 });
                ahead.push(Ahead { parent: node, side: 0 });
                (at, inner) = (at + 1, inner + 1);
                Link::to_node(node)
            } else {
                let bucket = unpack(layout, at, inner, leaf, size);
                (at, inner, leaf) = (at + 2 * size - 1, inner + size - 1, leaf + size);
                pool.add(&bucket)
            };
            match parent {
                NONE => tree.root = link,
                parent => tree.nodes[parent as usize].children[side] = link,
            }
        }
        // Pre-order puts children behind their parents.
        for index in (1..tree.nodes.len()).rev() {
            tree.fit_box::<Baseline, false>(index, pool, store);
            tree.nodes[index].mass =
                tree.nodes[index].children.map(|child| tree.mass(child, pool, store)).iter().sum();
        }
        tree.lay_out_gaps(pool, store, layout);
        tree
    }

    /// Gives a restored tree the cuts of the layout, if they part its points.
    pub(crate) fn set_cuts(&mut self, layout: &Layout, pool: &mut Pool) -> Result<(), Malformed> {
        layout.check_cuts()?;
        let mut cuts = layout.cuts.iter().copied();
        let mut ahead = vec![self.root];
        while let Some(link) = ahead.pop() {
            if link.is_node() {
                let node = &mut self.nodes[link.node()];
                node.cut = cuts.next().unwrap_or(node.cut);
                ahead.extend([node.children[1], node.children[0]]);
            } else if link.target() == Target::Bucket {
                let mut bucket = pool.bucket(link);
                let steps = bucket.clone();
                for step in steps.walk() {
                    if let Step::Gap { gap, .. } = step {
                        bucket.cuts[gap] = cuts.next().unwrap_or(bucket.cuts[gap]);
                    }
                }
                pool.replace(link, &bucket);
            }
        }
        Ok(())
    }

    /// The same tree over points with other slots, and in another pool.
    pub(crate) fn move_to(
        &self,
        number: impl Fn(u32) -> u32,
        (old_pool, old_store): (&Pool, &Store),
        (pool, store): (&mut Pool, &Store),
        layout: &mut Layout,
    ) -> Self {
        self.lay_out(old_pool, old_store, layout);
        for slot in &mut layout.slots {
            *slot = number(*slot);
        }
        let sound = layout.measure_sizes().is_ok();
        let mut tree = Self::restore(self.rng, layout, pool, store);
        let whole = tree.set_cuts(layout, pool).is_ok();
        debug_assert!(sound && whole, "a tree has the layout of a tree");
        tree
    }

    /// Puts what the cuts have to part into the layout.
    fn lay_out_gaps(&self, pool: &Pool, store: &Store, layout: &mut Layout) {
        let mut ahead = vec![self.root];
        while let Some(link) = ahead.pop() {
            if link.is_node() {
                let node = &self.nodes[link.node()];
                layout.gaps.push(self.gap(node, pool, store));
                ahead.extend([node.children[1], node.children[0]]);
                continue;
            }
            let bucket = pool.bucket(link);
            for step in bucket.walk() {
                if let Step::Gap { gap, first, last } = step {
                    layout.gaps.push(gap_within(&bucket, gap, first, last, store));
                }
            }
        }
    }

    /// The greatest value on the left and the least on the right of a node, in the dimension of its cut.
    fn gap(&self, node: &Node, pool: &Pool, store: &Store) -> (f32, f32) {
        let dimension = node.dimension as usize;
        let [left, right] = node.children;
        (self.range(left, dimension, pool, store).1, self.range(right, dimension, pool, store).0)
    }

    /// The least and the greatest value of a subtree in one dimension.
    fn range(&self, link: Link, dimension: usize, pool: &Pool, store: &Store) -> (f32, f32) {
        if link.is_node() {
            let lo = pool.start(self.nodes[link.node()].bounds) + dimension;
            return (pool.boxes()[lo], pool.boxes()[lo + store.width()]);
        }
        let bucket = pool.bucket(link);
        range_of(&bucket.slots[..bucket.len], dimension, store)
    }

    pub(super) fn mass(&self, link: Link, pool: &Pool, store: &Store) -> u32 {
        if link.is_node() {
            return self.nodes[link.node()].mass;
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(link, &mut leaf);
        bucket.mass(0, bucket.len - 1, store)
    }
}

/// The bucket of a subtree of `size` leaves that begins at these places of the layout.
fn unpack(layout: &Layout, at: usize, inner: usize, leaf: usize, size: usize) -> Bucket {
    let mut bucket = Bucket::EMPTY;
    bucket.len = size;
    bucket.slots[..size].copy_from_slice(&layout.slots[leaf..leaf + size]);
    let (mut inner, mut passed) = (inner, 0);
    // The levels of the subtrees yet to come, the next one last.
    let mut levels = [0_u8; CAPACITY + 1];
    let mut waiting = 1;
    let branches = &layout.inner[at..at + 2 * size - 1];
    for (i, &is_inner) in branches.iter().enumerate() {
        waiting -= 1;
        if !is_inner {
            passed += 1;
            continue;
        }
        // The left child's leaves come next: as many as the sizes say, or a single one.
        let left = if branches[i + 1] { layout.sizes[inner + 1] as usize } else { 1 };
        let gap = passed + left - 1;
        bucket.levels.0 |= u64::from(levels[waiting]) << (4 * gap);
        bucket.dimensions[gap] = layout.dimensions[inner];
        inner += 1;
        levels[waiting] += 1;
        levels[waiting + 1] = levels[waiting];
        waiting += 2;
    }
    bucket
}

/// The least and the greatest of the points' values in one dimension.
fn range_of(slots: &[u32], dimension: usize, store: &Store) -> (f32, f32) {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for &slot in slots {
        let value = store.point(slot)[dimension];
        range =
            (if value < range.0 { value } else { range.0 }, if value > range.1 { value } else { range.1 });
    }
    range
}

/// What a gap of a bucket has to part.
fn gap_within(bucket: &Bucket, gap: usize, first: usize, last: usize, store: &Store) -> (f32, f32) {
    let dimension = usize::from(bucket.dimensions[gap]);
    let left = range_of(&bucket.slots[first..=gap], dimension, store).1;
    let right = range_of(&bucket.slots[gap + 1..=last], dimension, store).0;
    (left, right)
}
