//! What the forest says about a point.

use crate::tree::Placement;

/// How a point lies among the points of the window, itself included: means over all trees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

impl Score {
    /// Adds what one tree says.
    pub(crate) fn add(&mut self, placement: &Placement) {
        let (codisp, displacement) = (placement.codisp(), f64::from(placement.displacement()));
        let depth = f64::from(placement.depth());
        self.codisp += codisp;
        self.displacement += displacement;
        self.depth += depth;
        self.log_codisp += libm::log1p(codisp);
        self.log_displacement += libm::log1p(displacement);
        self.inverse_depth += 1.0 / (1.0 + depth);
    }

    /// The means over `trees` trees, of which this is the sum.
    pub(crate) fn divide(self, trees: f64) -> Self {
        Self {
            codisp: self.codisp / trees,
            displacement: self.displacement / trees,
            depth: self.depth / trees,
            log_codisp: self.log_codisp / trees,
            log_displacement: self.log_displacement / trees,
            inverse_depth: self.inverse_depth / trees,
        }
    }
}
