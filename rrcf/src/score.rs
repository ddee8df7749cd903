//! The score of a point.

use crate::tree::Placement;

/// How a point lies among the points of the window, itself included. All values are means over the
/// trees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Score {
    /// Collusive displacement (`CoDisp`), the anomaly score of RRCF. It is the number of points
    /// that would move up, per removed point, if the point or any subtree around it were removed.
    /// Ordinary points have about 1 to a few; an outlier comes near the number of points in the
    /// window.
    pub codisp: f64,
    /// Displacement of the point alone: the mass of the sibling of its leaf.
    pub displacement: f64,
    /// Number of cuts between the root and the point. An outlier is cut off early.
    pub depth: f64,
    /// Mean over the trees of ln(1 + collusive displacement). It is steadier than the logarithm of
    /// the mean, which a single tree can dominate if the point happens to be cut off first there.
    pub log_codisp: f64,
    /// Mean over the trees of ln(1 + displacement).
    pub log_displacement: f64,
    /// Mean over the trees of 1 / (1 + depth).
    pub inverse_depth: f64,
}

/// Number of factors in one product. With 2²⁴ points, 16 factors stay below 10¹²¹.
const FACTORS: u32 = 16;

/// Sums over the trees, which become a [`Score`].
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    trees: u32,
    sum: Score,
    /// Products of 1 + collusive displacement and of 1 + displacement over the last trees. One
    /// logarithm of a product replaces many logarithms.
    codisp_factors: f64,
    displacement_factors: f64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { trees: 0, sum: Score::default(), codisp_factors: 1.0, displacement_factors: 1.0 }
    }

    /// Adds the result of one tree.
    #[inline(always)]
    pub(crate) fn add(&mut self, placement: &Placement) {
        let (codisp, displacement) = (placement.codisp, f64::from(placement.displacement));
        let depth = f64::from(placement.depth);
        self.sum.codisp += codisp;
        self.sum.displacement += displacement;
        self.sum.depth += depth;
        self.sum.inverse_depth += 1.0 / (1.0 + depth);
        self.codisp_factors *= 1.0 + codisp;
        self.displacement_factors *= 1.0 + displacement;
        self.trees += 1;
        if self.trees.is_multiple_of(FACTORS) {
            self.take_logarithms();
        }
    }

    fn take_logarithms(&mut self) {
        self.sum.log_codisp += libm::log(self.codisp_factors);
        self.sum.log_displacement += libm::log(self.displacement_factors);
        (self.codisp_factors, self.displacement_factors) = (1.0, 1.0);
    }

    /// Returns the means over all trees added.
    pub(crate) fn score(mut self) -> Score {
        self.take_logarithms();
        let (sum, trees) = (self.sum, f64::from(self.trees));
        Score {
            codisp: sum.codisp / trees,
            displacement: sum.displacement / trees,
            depth: sum.depth / trees,
            log_codisp: sum.log_codisp / trees,
            log_displacement: sum.log_displacement / trees,
            inverse_depth: sum.inverse_depth / trees,
        }
    }
}
