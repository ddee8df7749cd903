//! Links between the parts of a tree.

/// A link to a subtree: a node, a bucket, a single leaf, or none. The uppermost bit marks a node;
/// the rest is the index of the node in its tree. Otherwise the three uppermost bits are the kind,
/// and the rest is the position of the bucket's record in the pool, or the slot of the leaf's
/// point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(u32);

/// The bit that marks links to nodes. It is the uppermost one, so that a shift turns it into a
/// mask.
const NODE: u32 = 1 << 31;
const KIND: u32 = 29;
const INDEX: u32 = (1 << KIND) - 1;
const SMALL: u32 = 0;
const LARGE: u32 = 1;
const LEAF: u32 = 2;

impl Link {
    /// The link of an empty tree. It looks like the leaf of an impossible slot.
    pub(crate) const NOTHING: Self = Self(LEAF << KIND | INDEX);

    pub(crate) fn to_node(index: u32) -> Self {
        check!(index < NODE);
        Self(NODE | index)
    }

    pub(crate) fn to_leaf(slot: u32) -> Self {
        check!(slot < INDEX);
        Self(LEAF << KIND | slot)
    }

    /// Creates a link to the record of a bucket, small or large, at this position of the pool.
    pub(crate) fn to_bucket(large: bool, record: usize) -> Self {
        check!(record <= INDEX as usize);
        Self((if large { LARGE } else { SMALL }) << KIND | record as u32)
    }

    /// Returns the bits of the link. The uppermost bit is set in links to nodes; the others are the
    /// index.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) fn is_node(self) -> bool {
        self.0 >= NODE
    }

    #[inline(always)]
    pub(crate) fn is_leaf(self) -> bool {
        self.0 >> KIND == LEAF
    }

    /// Returns whether the record is a large one. Leaves look like large records.
    #[inline(always)]
    pub(crate) fn large(self) -> bool {
        self.0 >= LARGE << KIND
    }

    /// Returns the index of a node.
    #[inline(always)]
    pub(crate) fn node(self) -> usize {
        (self.0 & !NODE) as usize
    }

    /// Returns the position of a record, or the slot of a leaf.
    #[inline(always)]
    pub(crate) fn record(self) -> usize {
        (self.0 & INDEX) as usize
    }

    /// Returns whether the link leads to the record of a bucket.
    pub(crate) fn is_bucket(self) -> bool {
        self.0 >> KIND <= LARGE
    }
}
