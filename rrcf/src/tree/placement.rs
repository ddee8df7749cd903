//! What the way of a point through a tree says about the point.

/// The path from the root to the leaf of a point just inserted, boiled down to the figures of its score.
///
/// *Displacement* of a subtree is the mass of its sibling: how many points would move up if it were gone. *Collusive displacement* is the
/// largest displacement per point over the subtrees on the path, so that a few outliers of equal value cannot hide each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Mass of the sibling where the displacement per point is largest; the nearest to the root, if several.
    sibling: u32,
    /// Mass of the subtree there.
    subtree: u32,
    /// The dimension whose cut parts the two.
    dimension: u32,
    depth: u32,
    displacement: u32,
}

impl Placement {
    /// The path that ends at the root.
    pub(crate) const AT_ROOT: Self = Self { sibling: 0, subtree: 1, dimension: 0, depth: 0, displacement: 0 };

    /// Takes one step down, into a subtree of mass `subtree` parted by a cut of `dimension` from one of mass `sibling`.
    pub(super) fn step(&mut self, sibling: u32, subtree: u32, dimension: u32) {
        self.depth += 1;
        self.displacement = sibling;
        if u64::from(sibling) * u64::from(self.subtree) > u64::from(self.sibling) * u64::from(subtree) {
            self.sibling = sibling;
            self.subtree = subtree;
            self.dimension = dimension;
        }
    }

    /// Collusive displacement: the largest ratio of sibling's mass to subtree's mass on the path.
    pub(crate) fn codisp(&self) -> f64 {
        f64::from(self.sibling) / f64::from(self.subtree)
    }

    /// The dimension of the cut where the collusive displacement is attained.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension as usize
    }

    /// Mass of the leaf's sibling.
    pub(crate) fn displacement(&self) -> u32 {
        self.displacement
    }

    /// Cuts between the root and the leaf.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }
}
