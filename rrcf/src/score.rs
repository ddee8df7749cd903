//! What the forest says about a point.

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
}
