//! The result of a point's way through one tree.

/// The figures of a score, from the path between the root and the leaf of a point.
///
/// The *displacement* of a subtree is the mass of its sibling: the number of points that would move
/// up if the subtree were removed. The *collusive displacement* is the largest displacement per
/// point over the subtrees on the path, so a few outliers of equal value cannot hide each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// The largest ratio of a sibling's mass to its subtree's mass on the path.
    pub(crate) codisp: f64,
    /// The mass of the leaf's sibling.
    pub(crate) displacement: u32,
    /// The number of cuts between the root and the leaf.
    pub(crate) depth: u32,
    /// The dimension of the cut with the collusive displacement. Zero if the caller did not ask for
    /// it.
    pub(crate) dimension: u32,
}

impl Placement {
    /// The placement of a point at the root.
    pub(crate) const AT_ROOT: Self = Self { codisp: 0.0, displacement: 0, depth: 0, dimension: 0 };
}

/// Returns the displacement per point of a step into a subtree, or `best` if that is greater.
#[inline(always)]
pub(super) fn better(best: f64, sibling: u32, subtree: u32) -> f64 {
    let ratio = f64::from(sibling as i32) / f64::from(subtree as i32);
    if ratio > best { ratio } else { best }
}
