//! The memory that is needed while trees are built.

use alloc::vec::Vec;

/// Memory for building trees, reused from tree to tree.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) parts: Vec<Part>,
    /// For every leaf of a bucket, the box of the subtree that begins with that leaf: for each
    /// eight dimensions, the lower bounds and then the upper ones.
    pub(super) boxes: Vec<f32>,
    /// For every node, the limits of its cut.
    pub(super) gaps: Vec<(f32, f32)>,
}

/// A part of a tree to be built, and its parent.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) parent: u32,
    pub(super) side: usize,
    pub(super) what: What,
    /// The number of its uppermost cut in pre-order.
    pub(super) inner: usize,
}

#[derive(Clone, Copy)]
pub(super) enum What {
    /// The node with this index.
    Node(usize),
    /// A bucket of `size` leaves. `leaf` is the number of the first one.
    Bucket { leaf: usize, size: usize },
}
