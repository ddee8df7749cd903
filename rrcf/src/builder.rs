//! Configuration of a forest and its limits.

use crate::error::Error;

/// Largest `dimensions * shingle`.
pub(crate) const MAX_WIDTH: usize = 1 << 16;
/// Largest number of trees.
pub(crate) const MAX_TREES: usize = 1 << 20;
/// Largest rate of decay: beyond it, not even the point before the last would stay.
const MAX_RATE: f64 = 1e6;
/// Largest number of points in all trees together.
pub(crate) const MAX_POINTS: usize = 1 << 26;
/// Largest window.
pub(crate) const MAX_WINDOW: usize = 1 << 24;

/// Sizes and seed of a forest to be built.
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

/// Which points of the past a forest holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sampling {
    /// The last ones, as many as the window has room for. Every point is taken in.
    #[default]
    SlidingWindow,
    /// As many as the window has room for, of all that ever came, each with the same probability: nothing is ever wholly forgotten.
    Reservoir,
    /// As many as the window has room for, each with a probability that fades with its age.
    TimeDecayed {
        /// By how much the logarithm of the odds falls with every point that comes. With `c / window`, about one point in 1 / (1 - e^-c) is taken
        /// in, and the mean age of those held is about window / c, for c up to 1. The default of the field is c = 0.1.
        rate: f64,
    },
}

impl ForestBuilder {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, trees: 100, window: 256, shingle: 1, seed: 0, sampling: Sampling::SlidingWindow }
    }

    /// Sets the number of trees, 100 unless told otherwise and at most 2²⁰. The noise of a score falls with its square root.
    pub fn trees(mut self, trees: usize) -> Self {
        self.trees = trees;
        self
    }

    /// Sets how many points the forest remembers, 256 unless told otherwise and at most 2²⁴. All trees together hold
    /// at most 2²⁶.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// Sets how many consecutive points make one point of the trees, 1 unless told otherwise. With more than one, the forest sees the
    /// shape of the series, not only its values. `dimensions * shingle` is at most 65,536.
    pub fn shingle(mut self, shingle: usize) -> Self {
        self.shingle = shingle;
        self
    }

    /// Sets the seed of the random cuts, 0 unless told otherwise. Same seed and same points, same scores, to the bit.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets which points the forest holds, [the last ones](Sampling::SlidingWindow) unless told otherwise. A point that a
    /// sample does not take in is scored as if it were, and leaves no trace but the random numbers it drew.
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
