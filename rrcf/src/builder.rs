//! The configuration of a forest, and its limits.

use crate::error::Error;

/// Largest `dimensions * shingle`.
pub(crate) const MAX_WIDTH: usize = 1 << 16;
/// Largest number of trees.
pub(crate) const MAX_TREES: usize = 1 << 20;
/// Largest rate of decay. With a greater rate, even the previous point would not stay.
const MAX_RATE: f64 = 1e6;
/// Largest number of points in all trees together.
pub(crate) const MAX_POINTS: usize = 1 << 26;
/// Largest window.
pub(crate) const MAX_WINDOW: usize = 1 << 24;

/// Configures the sizes and the seed of a forest.
///
/// ```
/// let forest = rrcf_rs::Forest::builder(3).trees(50).window(512).shingle(4).seed(42).build()?;
/// assert_eq!(forest.window(), 512);
/// # Ok::<(), rrcf_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ForestBuilder {
    pub(crate) dimensions: usize,
    pub(crate) trees: usize,
    pub(crate) window: usize,
    pub(crate) shingle: usize,
    pub(crate) seed: u64,
    pub(crate) sampling: Sampling,
}

/// Chooses which points of the past a forest holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sampling {
    /// The forest holds the last points, as many as the window has room for. It takes every point.
    #[default]
    SlidingWindow,
    /// The forest holds a uniform sample of all points so far, as many as the window has room for.
    /// No part of the past is ever completely forgotten.
    Reservoir,
    /// The forest holds a sample, as many points as the window has room for. The probability of a
    /// point fades with its age.
    TimeDecayed {
        /// Decrease of the logarithm of the odds with every new point. With a rate of `c / window`,
        /// the sample takes about one point in 1 / (1 - e^-c), and the mean age of the points held
        /// is about window / c, for c up to 1. The usual default in the literature is c = 0.1.
        rate: f64,
    },
}

impl ForestBuilder {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, trees: 100, window: 256, shingle: 1, seed: 0, sampling: Sampling::SlidingWindow }
    }

    /// Sets the number of trees: 100 by default, at most 2²⁰. The noise of a score falls with the
    /// square root of this number.
    pub fn trees(mut self, trees: usize) -> Self {
        self.trees = trees;
        self
    }

    /// Sets how many points the forest holds: 256 by default, at most 2²⁴. All trees together hold
    /// at most 2²⁶ points.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// Sets how many consecutive points make one point of the trees: 1 by default. With more than
    /// 1, the forest sees the shape of the series, not only its values. `dimensions * shingle` is
    /// at most 65,536.
    pub fn shingle(mut self, shingle: usize) -> Self {
        self.shingle = shingle;
        self
    }

    /// Sets the seed of the random cuts: 0 by default. The same seed and the same points give the
    /// same scores, bit for bit.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets which points the forest holds: [the last points](Sampling::SlidingWindow) by default. A
    /// point that a sample does not take is scored as if it were taken. It leaves no trace except
    /// the random numbers that it used.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let sizes = [
            ("dimensions", self.dimensions, MAX_WIDTH),
            ("trees", self.trees, MAX_TREES),
            ("window", self.window, MAX_WINDOW),
            ("shingle", self.shingle, MAX_WIDTH),
            ("trees * window", self.trees.saturating_mul(self.window), MAX_POINTS),
            ("dimensions * shingle", self.dimensions.saturating_mul(self.shingle), MAX_WIDTH),
        ];
        for (what, got, most) in sizes {
            if got == 0 || got > most {
                return Err(Error::OutOfRange { what, got, most });
            }
        }
        if let Sampling::TimeDecayed { rate } = self.sampling
            && !(0.0..=MAX_RATE).contains(&rate)
        {
            return Err(Error::BadRate);
        }
        Ok(())
    }
}
