//! What the way of a point through a tree says about the point.

/// The path from the root to the leaf of a point, boiled down to the figures of its score.
///
/// *Displacement* of a subtree is the mass of its sibling: how many points would move up if it were gone. *Collusive displacement* is the
/// largest displacement per point over the subtrees on the path, so that a few outliers of equal value cannot hide each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// The largest ratio of sibling's mass to subtree's mass on the path.
    pub(crate) codisp: f64,
    /// Mass of the leaf's sibling.
    pub(crate) displacement: u32,
    /// Cuts between the root and the leaf.
    pub(crate) depth: u32,
    /// The dimension of the cut where the collusive displacement is attained, where that was asked for.
    pub(crate) dimension: u32,
}

impl Placement {
    /// The path that ends at the root.
    pub(crate) const AT_ROOT: Self = Self { codisp: 0.0, displacement: 0, depth: 0, dimension: 0 };
}

/// The displacement per point of a step into a subtree, where that is more than `best`.
#[inline(always)]
pub(super) fn better(best: f64, sibling: u32, subtree: u32) -> f64 {
    let ratio = f64::from(sibling as i32) / f64::from(subtree as i32);
    if ratio > best { ratio } else { best }
}
