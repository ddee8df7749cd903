//! Building a tree from its layout.

#![allow(unsafe_code, reason = "boxes are read and written in whole eights, without checks")]

use alloc::vec;

use super::bucket::{Bucket, CAPACITY};
use super::layout::{Layout, Malformed, Subtree};
use super::link::Link;
use super::nodes::{NONE, Node, Tree};
use super::pool::{LeafRecord, Pool};
use super::scratch::{Part, Scratch, What};
use crate::eight::{Baseline, Eight, LANES};
use crate::lanes::{chunks, load, padded, store as write};
use crate::rng::Rng;
use crate::store::Store;

impl Tree {
    /// Returns the bytes that the nodes and boxes of a tree with this layout will take.
    pub(crate) fn bytes_for(layout: &Layout, width: usize) -> u64 {
        (layout.nodes * (size_of::<Node>() + 2 * size_of::<f32>() * width)) as u64
    }

    /// Builds the tree of a layout that has been measured.
    ///
    /// Calls `cut` for every cut, from the last in pre-order to the first, with the cut's number
    /// and its limits: the greatest value on its left and the least value on its right.
    ///
    /// # Safety
    ///
    /// The store must have a point at every slot of the layout. The dimensions of the layout must be
    /// below the width of the store, which must be that of the pool.
    pub(crate) unsafe fn restore(
        rng: Rng,
        layout: &Layout,
        scratch: &mut Scratch,
        pool: &mut Pool,
        store: &Store,
        cut: impl FnMut(usize, (f32, f32)) -> Option<f32>,
    ) -> Result<Self, Malformed> {
        let mut tree = Self::new(rng);
        if layout.slots.is_empty() {
            return Ok(tree);
        }
        scratch.boxes.resize(2 * CAPACITY * padded(store.width()), 0.0);
        tree.sketch(layout, pool, scratch);
        let mut build = Build { tree: &mut tree, layout, pool, store, scratch, cut };
        // SAFETY: the caller promises the slots. The nodes have boxes of this pool from `sketch`, the
        // scratch has the boxes of all leaves of a bucket, and the width is that of the pool.
        unsafe {
            if store.width() <= LANES { build.run::<Baseline, 1>() } else { build.run::<Baseline, 0>() }?;
        }
        Ok(tree)
    }

    /// Creates the nodes of a layout, without cuts and with empty boxes. Lists the parts of the
    /// tree in pre-order.
    fn sketch(&mut self, layout: &Layout, pool: &mut Pool, scratch: &mut Scratch) {
        self.nodes.reserve_exact(layout.nodes);
        scratch.parts.clear();
        scratch.gaps.clear();
        scratch.gaps.resize(layout.nodes + 1, (0.0, 0.0));
        let mut ahead = vec![(NONE, 0, layout.slots.len())];
        let (mut inner, mut leaf) = (0, 0);
        while let Some((parent, side, size)) = ahead.pop() {
            if size > CAPACITY {
                let left = layout.subtree(inner).left as usize;
                let dimension = u32::from(layout.dimensions[inner]);
                let node = self.nodes.len();
                self.nodes.push(Node { dimension, bounds: pool.add_box(), ..Node::UNLINKED });
                ahead.extend([(node as u32, 1, size - left), (node as u32, 0, left)]);
                scratch.parts.push(Part { parent, side, what: What::Node(node), inner });
                inner += 1;
            } else {
                scratch.parts.push(Part { parent, side, what: What::Bucket { leaf, size }, inner });
                (inner, leaf) = (inner + size - 1, leaf + size);
            }
        }
    }

    /// Returns the same tree over points with other slots, in another pool. `number` maps old slots
    /// to new ones.
    ///
    /// # Safety
    ///
    /// The tree, the old pool and the old store must be [parts of one forest](super). The new store
    /// must have the width of the old one and the new pool, and a point at every slot that `number`
    /// returns for the slot of a leaf.
    pub(crate) unsafe fn move_to(
        &self,
        number: impl Fn(u32) -> u32,
        (old_pool, old_store): (&Pool, &Store),
        (pool, store): (&mut Pool, &Store),
        layout: &mut Layout,
        scratch: &mut Scratch,
    ) -> Self {
        self.lay_out(old_pool, old_store, layout);
        for slot in &mut layout.slots {
            *slot = number(*slot);
        }
        let same = layout.measure_branches().and_then(|()| {
            let cuts = &layout.cuts;
            // SAFETY: the caller promises the width and the slots. The dimensions of a tree are below
            // the width of its forest.
            unsafe {
                Self::restore(self.rng, layout, scratch, pool, store, |number, _| cuts.get(number).copied())
            }
        });
        same.unwrap_or_else(|Malformed(reason)| unreachable!("the layout of a tree is well-formed: {reason}"))
    }

    pub(super) fn mass(&self, link: Link, pool: &Pool, store: &Store) -> u32 {
        if link.is_node() {
            return self.nodes[link.node()].mass;
        }
        let mut leaf = LeafRecord::new();
        let bucket = pool.view(link, &mut leaf);
        // SAFETY: the bucket has these leaves.
        unsafe { bucket.mass(0, bucket.len - 1, store) }
    }
}

/// A tree being built.
///
/// The unsafe functions need what [`Tree::restore`] sets up: every slot of the layout has a point in
/// the store, every node of the tree has a box in the pool, the scratch has a box for every leaf of
/// a bucket, and all have the width of the store, which has `EIGHTS` eights if that is not 0.
struct Build<'a, F> {
    tree: &'a mut Tree,
    layout: &'a Layout,
    pool: &'a mut Pool,
    store: &'a Store,
    scratch: &'a mut Scratch,
    cut: F,
}

impl<F: FnMut(usize, (f32, f32)) -> Option<f32>> Build<'_, F> {
    /// Builds the parts from the last to the first. In pre-order, children come after their
    /// parents, so everything below a node exists before its cut is read.
    ///
    /// # Safety
    ///
    /// The fields must be as [`Build`] says.
    #[inline(always)]
    unsafe fn run<V: Eight, const EIGHTS: usize>(&mut self) -> Result<(), Malformed> {
        while let Some(part) = self.scratch.parts.pop() {
            let (link, mass) = match part.what {
                What::Bucket { leaf, size } => {
                    // SAFETY: the caller promises the fields.
                    let bucket = unsafe { self.bucket::<V, EIGHTS>(part.inner, leaf, size)? };
                    // SAFETY: as above; no box of the pool is named.
                    unsafe { self.widen::<V, EIGHTS>(part, None) };
                    let mass = if self.store.all_distinct() {
                        bucket.len as u32
                    } else {
                        bucket.slots[..bucket.len].iter().map(|&slot| self.store.count(slot)).sum()
                    };
                    (self.pool.add(&bucket), mass)
                }
                What::Node(index) => {
                    let cut = self.next_cut(part.inner, self.scratch.gaps[index])?;
                    let node = &mut self.tree.nodes[index];
                    node.cut = cut;
                    let (bounds, mass) = (node.bounds, node.mass);
                    // SAFETY: the caller promises the fields, and so the box of the node.
                    unsafe { self.widen::<V, EIGHTS>(part, Some(bounds)) };
                    (Link::to_node(index as u32), mass)
                }
            };
            match part.parent {
                NONE => self.tree.root = link,
                parent => {
                    let parent = &mut self.tree.nodes[parent as usize];
                    parent.children[part.side] = link;
                    parent.mass += mass;
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn next_cut(&mut self, number: usize, gap: (f32, f32)) -> Result<f32, Malformed> {
        match (self.cut)(number, gap) {
            Some(cut) if gap.0 <= cut && cut < gap.1 => Ok(cut),
            _ => Err(Malformed("a cut does not separate its points")),
        }
    }

    /// Builds the bucket of `size` leaves that begins with this inner node and this leaf. Writes
    /// the box around it to the beginning of the scratch boxes.
    ///
    /// # Safety
    ///
    /// The fields must be as [`Build`] says.
    #[inline(always)]
    unsafe fn bucket<V: Eight, const EIGHTS: usize>(
        &mut self,
        inner: usize,
        leaf: usize,
        size: usize,
    ) -> Result<Bucket, Malformed> {
        let Self { layout, store, .. } = *self;
        let stride = if EIGHTS == 1 { 2 * LANES } else { 2 * padded(store.width()) };
        let mut bucket = Bucket::EMPTY;
        bucket.len = size;
        for (i, &slot) in layout.slots[leaf..leaf + size].iter().enumerate() {
            bucket.slots[i] = slot;
            for chunk in chunks::<EIGHTS>(store.width()) {
                // SAFETY: the caller promises that every slot of the layout has a point.
                let lanes: V = unsafe { store.lanes(slot, chunk) };
                self.set_box(i * stride + 2 * chunk, lanes, lanes);
            }
        }
        for number in (inner..inner + size - 1).rev() {
            let Subtree { first, left, size } = layout.subtree(number);
            let first = first as usize - leaf;
            let (gap, beyond) = (first + left as usize - 1, first + left as usize);
            bucket.levels = bucket.levels.nest((first, first + size as usize - 1), gap);
            let dimension = layout.dimensions[number];
            let lane = usize::from(dimension) / LANES * LANES + usize::from(dimension);
            let boxes = &self.scratch.boxes;
            let parted = (boxes[first * stride + lane + LANES], boxes[beyond * stride + lane]);
            bucket.dimensions[gap] = dimension;
            bucket.cuts[gap] = self.next_cut(number, parted)?;
            for chunk in chunks::<EIGHTS>(store.width()) {
                let [one, other] = [first, beyond].map(|leaf| leaf * stride + 2 * chunk);
                // SAFETY: the scratch has a box of whole eights for every leaf.
                let lanes = |at: usize| unsafe { load::<V>(&self.scratch.boxes, at) };
                let (lo, hi) = (lanes(one).min(lanes(other)), lanes(one + LANES).max(lanes(other + LANES)));
                self.set_box(one, lo, hi);
            }
        }
        Ok(bucket)
    }

    /// Grows the box of a part's parent to contain the box of the part: the box in the pool with
    /// the index `bounds`, or the first of the scratch boxes if that is `None`.
    ///
    /// # Safety
    ///
    /// The fields must be as [`Build`] says, and the pool must have the box with the index `bounds`.
    #[inline(always)]
    unsafe fn widen<V: Eight, const EIGHTS: usize>(&mut self, part: Part, bounds: Option<u32>) {
        if part.parent == NONE {
            return;
        }
        let width = self.store.width();
        let parent = &self.tree.nodes[part.parent as usize];
        let (dimension, to) = (parent.dimension as usize, self.pool.start(parent.bounds));
        for chunk in chunks::<EIGHTS>(width) {
            let (mut lo, mut hi): (V, V) = match bounds {
                None => {
                    let boxes = &self.scratch.boxes;
                    // SAFETY: the scratch has a box of whole eights for every leaf.
                    unsafe { (load(boxes, 2 * chunk), load(boxes, 2 * chunk + LANES)) }
                }
                Some(bounds) => {
                    let from = self.pool.start(bounds) + chunk;
                    // SAFETY: the caller promises that the pool has the box.
                    unsafe { (load(self.pool.boxes(), from), load(self.pool.boxes(), from + width)) }
                }
            };
            if let Some(lane) = dimension.checked_sub(chunk)
                && lane < LANES
            {
                let gap = &mut self.scratch.gaps[part.parent as usize];
                if part.side == 0 {
                    gap.0 = hi.to_array()[lane];
                } else {
                    gap.1 = lo.to_array()[lane];
                }
            }
            // The right child is built first and sets the box; the left child then extends it.
            if part.side == 0 {
                // SAFETY: the caller promises that the pool has the box of every node.
                unsafe {
                    lo = lo.min(load(self.pool.boxes(), to + chunk));
                    hi = hi.max(load(self.pool.boxes(), to + width + chunk));
                }
            }
            // SAFETY: as above.
            unsafe {
                write(self.pool.boxes_mut(), to + chunk, lo, width - chunk);
                write(self.pool.boxes_mut(), to + width + chunk, hi, width - chunk);
            }
        }
    }

    #[inline(always)]
    fn set_box<V: Eight>(&mut self, at: usize, lo: V, hi: V) {
        assert!(at + 2 * LANES <= self.scratch.boxes.len(), "a box in the scratch");
        // SAFETY: both are within the scratch.
        unsafe {
            write(&mut self.scratch.boxes, at, lo, LANES);
            write(&mut self.scratch.boxes, at + LANES, hi, LANES);
        }
    }
}
