//! What the forest says about a point.

use crate::tree::Placement;

/// How a point lies among the points of the window, itself included: means over all trees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Score {
    /// Collusive displacement (`CoDisp`), the anomaly score of RRCF: how many points per removed point would move up if the point, or any
    /// group of neighbours with it, were taken out. About 1 to a few for ordinary points; an outlier approaches the number of points in
    /// the window.
    pub codisp: f64,
    /// Displacement of the point alone: the mass of the sibling of its leaf.
    pub displacement: f64,
    /// Cuts between the root and the point. An outlier is cut off early.
    pub depth: f64,
    /// Mean of ln(1 + collusive displacement) of the single trees: a steadier figure than the logarithm of the mean, which one tree
    /// in which the point happens to be cut off first can dominate.
    pub log_codisp: f64,
    /// Mean of ln(1 + displacement) of the single trees.
    pub log_displacement: f64,
    /// Mean of 1 / (1 + depth) of the single trees.
    pub inverse_depth: f64,
}

/// Trees whose factors make one product: with 2²⁴ points, 16 factors stay below 10¹²¹.
const FACTORS: u32 = 16;

/// Sums over trees, on the way to a [`Score`].
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    trees: u32,
    sum: Score,
    /// Products of 1 + collusive displacement and of 1 + displacement whose logarithms are yet to be summed: one logarithm for many
    /// trees.
    codisp_factors: f64,
    displacement_factors: f64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { trees: 0, sum: Score::default(), codisp_factors: 1.0, displacement_factors: 1.0 }
    }

    /// Adds what one tree says.
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

    /// The means over all trees added.
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
