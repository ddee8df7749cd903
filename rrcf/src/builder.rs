//! Configuration of a forest and its limits.

use crate::{Error, Forest};

/// Largest `dimensions * shingle`.
pub(crate) const MAX_WIDTH: usize = 1 << 16;
/// Largest number of trees.
pub(crate) const MAX_TREES: usize = 1 << 20;
/// Largest window.
pub(crate) const MAX_WINDOW: usize = 1 << 24;

/// Sizes and seed of a forest to be built.
///
/// ```
/// let forest = rrcf_rs::Forest::builder(3).trees(50).window(512).shingle(4).seed(42).build()?;
/// assert_eq!(forest.window(), 512);
/// # Ok::<(), rrcf_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ForestBuilder {
    pub(crate) dimensions: usize,
    pub(crate) trees: usize,
    pub(crate) window: usize,
    pub(crate) shingle: usize,
    pub(crate) seed: u64,
}

impl ForestBuilder {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, trees: 100, window: 256, shingle: 1, seed: 0 }
    }

    /// Sets the number of trees, 100 unless told otherwise and at most 2²⁰. The noise of a score falls with its square root.
    pub fn trees(mut self, trees: usize) -> Self {
        self.trees = trees;
        self
    }

    /// Sets how many points the forest remembers, 256 unless told otherwise and at most 2²⁴. The oldest point is forgotten when a new one
    /// comes.
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

    /// Builds an empty forest.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if a size is zero or beyond its limit.
    pub fn build(self) -> Result<Forest, Error> {
        self.validate()?;
        Ok(Forest::new(&self))
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let sizes = [
            ("dimensions", self.dimensions, MAX_WIDTH),
            ("trees", self.trees, MAX_TREES),
            ("window", self.window, MAX_WINDOW),
            ("shingle", self.shingle, MAX_WIDTH),
            ("dimensions * shingle", self.dimensions.saturating_mul(self.shingle), MAX_WIDTH),
        ];
        for (what, got, most) in sizes {
            if got == 0 || got > most {
                return Err(Error::OutOfRange { what, got, most });
            }
        }
        Ok(())
    }
}
