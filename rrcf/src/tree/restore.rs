//! A tree to and from its *layout*: the part of it that cannot be computed again.

use alloc::vec;
use alloc::vec::Vec;

use super::bucket::Step;
use super::pool::LeafRecord;
use super::{Bucket, CAPACITY, Link, NONE, Node, Pool, Tree};
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
    /// Room to work in.
    waiting: Vec<u32>,
    parts: Vec<Part>,
    buckets: Vec<Bucket>,
    /// For every inner node that is in a bucket: its gap, and the first and the last leaf below.
    stretches: Vec<[u8; 3]>,
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
        // The sizes of subtrees whose parent is yet to come, the next to be asked for last.
        self.waiting.clear();
        self.waiting.resize(self.inner.len() + 1, 0);
        let mut count = 0;
        for &is_inner in self.inner.iter().rev() {
            if is_inner {
                if count < 2 || inner == 0 {
                    return Err(SHAPE);
                }
                (inner, count) = (inner - 1, count - 1);
                let size = self.waiting[count] + self.waiting[count - 1];
                (self.sizes[inner], self.waiting[count - 1]) = (size, size);
            } else {
                self.waiting[count] = 1;
                count += 1;
            }
        }
        let whole = self.inner.is_empty() || (count == 1 && self.waiting[0] as usize == self.slots.len());
        if whole && inner == 0 { Ok(()) } else { Err(SHAPE) }
    }

    /// Inner nodes too large for a bucket.
    fn nodes(&self) -> usize {
        self.sizes.iter().filter(|&&size| size as usize > CAPACITY).count()
    }
}

/// A part of a tree in the making, and where it is to hang.
#[derive(Clone, Copy)]
struct Part {
    parent: u32,
    side: usize,
    /// The node of this index, or a bucket that has its cuts not yet.
    what: What,
    /// The number of its uppermost cut in pre-order.
    inner: usize,
}

#[derive(Clone, Copy)]
enum What {
    Node(usize),
    /// The bucket of this number.
    Bucket(usize),
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

    /// Builds the tree of a layout that has been measured.
    ///
    /// `cut` is asked for the cuts from the last in pre-order to the first, by number, and is told what each has to part: the greatest
    /// value on its left and the least on its right.
    pub(crate) fn restore(
        rng: Rng,
        layout: &mut Layout,
        pool: &mut Pool,
        store: &Store,
        mut cut: impl FnMut(usize, (f32, f32)) -> Option<f32>,
    ) -> Result<Self, Malformed> {
        let mut tree = Self::new(rng);
        if layout.slots.is_empty() {
            return Ok(tree);
        }
        let mut next_cut = |number: usize, gap: (f32, f32)| match cut(number, gap) {
            Some(cut) if gap.0 <= cut && cut < gap.1 => Ok(cut),
            _ => Err(Malformed("a cut does not part its points")),
        };
        // Pre-order puts children behind their parents: from the back, all below a node is there before its box and its cut.
        tree.sketch(layout);
        for &Part { parent, side, what, inner } in layout.parts.iter().rev() {
            let link = match what {
                What::Bucket(number) => {
                    let bucket = &mut layout.buckets[number];
                    let stretches = &layout.stretches[inner..inner + bucket.len - 1];
                    for (i, stretch) in stretches.iter().enumerate().rev() {
                        let [gap, first, last] = stretch.map(usize::from);
                        bucket.cuts[gap] = next_cut(inner + i, gap_within(bucket, gap, first, last, store))?;
                    }
                    pool.add(bucket)
                }
                What::Node(index) => {
                    tree.nodes[index].bounds = pool.add_box();
                    tree.fit_box::<Baseline, false>(index, pool, store);
                    let node = &tree.nodes[index];
                    let mass = if store.all_distinct() {
                        layout.sizes[inner]
                    } else {
                        node.children.map(|child| tree.mass(child, pool, store)).iter().sum()
                    };
                    let gap = tree.gap(node, pool, store);
                    (tree.nodes[index].mass, tree.nodes[index].cut) = (mass, next_cut(inner, gap)?);
                    Link::to_node(index as u32)
                }
            };
            match parent {
                NONE => tree.root = link,
                parent => tree.nodes[parent as usize].children[side] = link,
            }
        }
        Ok(tree)
    }

    /// Makes the nodes of a layout, without cuts and boxes, and finds out which parts the tree has, in pre-order.
    fn sketch(&mut self, layout: &mut Layout) {
        self.nodes.reserve_exact(layout.nodes());
        layout.stretches.clear();
        layout.stretches.resize(layout.dimensions.len(), [0; 3]);
        let mut parts = core::mem::take(&mut layout.parts);
        let mut buckets = core::mem::take(&mut layout.buckets);
        parts.clear();
        buckets.clear();
        let mut ahead = vec![(NONE, 0)];
        let (mut at, mut inner, mut leaf) = (0, 0, 0);
        while let Some((parent, side)) = ahead.pop() {
            let size = if layout.inner[at] { layout.sizes[inner] as usize } else { 1 };
            let first = inner;
            let what = if size > CAPACITY {
                let dimension = u32::from(layout.dimensions[inner]);
                let node = self.nodes.len();
                self.nodes.push(Node { dimension, ..Node::UNLINKED });
                ahead.extend([(node as u32, 1), (node as u32, 0)]);
                (at, inner) = (at + 1, inner + 1);
                What::Node(node)
            } else {
                let bucket = unpack(layout, at, inner, leaf, size);
                (at, inner, leaf) = (at + 2 * size - 1, inner + size - 1, leaf + size);
                buckets.push(bucket);
                What::Bucket(buckets.len() - 1)
            };
            parts.push(Part { parent, side, what, inner: first });
        }
        (layout.parts, layout.buckets) = (parts, buckets);
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
        let same = layout.measure_sizes().and_then(|()| {
            let cuts = core::mem::take(&mut layout.cuts);
            Self::restore(self.rng, layout, pool, store, |number, _| cuts.get(number).copied())
        });
        same.unwrap_or_else(|Malformed(reason)| unreachable!("a tree has the layout of a tree: {reason}"))
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
fn unpack(layout: &mut Layout, at: usize, inner: usize, leaf: usize, size: usize) -> Bucket {
    let mut bucket = Bucket::EMPTY;
    bucket.len = size;
    bucket.slots[..size].copy_from_slice(&layout.slots[leaf..leaf + size]);
    let (mut inner, mut passed) = (inner, 0);
    // The levels of the subtrees yet to come, the next one last.
    let mut levels = [0_u8; CAPACITY + 1];
    let mut waiting = 1;
    for i in at..at + 2 * size - 1 {
        let is_inner = layout.inner[i];
        waiting -= 1;
        if !is_inner {
            passed += 1;
            continue;
        }
        // The left child's leaves come next: as many as the sizes say, or a single one.
        let left = if layout.inner[i + 1] { layout.sizes[inner + 1] as usize } else { 1 };
        let gap = passed + left - 1;
        bucket.levels.0 |= u64::from(levels[waiting]) << (4 * gap);
        bucket.dimensions[gap] = layout.dimensions[inner];
        layout.stretches[inner] =
            [gap, passed, passed + layout.sizes[inner] as usize - 1].map(|leaf| leaf as u8);
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
