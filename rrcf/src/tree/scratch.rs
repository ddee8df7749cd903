//! Room to build trees in.

use alloc::vec::Vec;

/// Room to build trees in.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) parts: Vec<Part>,
    /// For every leaf of a bucket the box of the subtree that begins with it: eight by eight the lower bounds, then the upper ones.
    pub(super) boxes: Vec<f32>,
    /// For every node what its cut has to part.
    pub(super) gaps: Vec<(f32, f32)>,
}

/// A part of a tree in the making, and where it is to hang.
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
    /// The node of this index.
    Node(usize),
    /// A bucket of so many leaves, which begin with that of this number.
    Bucket { leaf: usize, size: usize },
}
