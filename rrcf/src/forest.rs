//! The forest: many trees over one set of points.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::builder::{ForestBuilder, Sampling};
use crate::eight::wide_registers;
use crate::error::Error;
use crate::growth::heap_bytes;
use crate::lanes::{Probe, padded};
use crate::rng::Rng;
use crate::store::Store;
use crate::tree::{Pool, Tree, Work};
use crate::window::Window;

/// A Robust Random Cut Forest over the last points of a series, or over a sample of all its points.
///
/// Every [`update`](Forest::update) inserts one point, forgets one if the window is full, and
/// scores the new point among all points held. See the [crate documentation](crate) for the meaning
/// of the score.
#[derive(Clone)]
pub struct Forest {
    pub(crate) window: Window,
    pub(crate) store: Store,
    pub(crate) pool: Pool,
    pub(crate) trees: Vec<Tree>,
    /// One weight per raw dimension, as given by the caller.
    pub(crate) weights: Vec<f32>,
    /// One weight per dimension of the trees: the raw weights repeated over the shingle, then zeros
    /// up to whole lanes.
    pub(crate) wide_weights: Vec<f32>,
    /// The point that leaves the trees in the current pass.
    pub(crate) leaving: Probe,
    /// The point that enters the trees in the current pass.
    pub(crate) coming: Probe,
    pub(crate) work: Work,
    /// Whether the processor has registers of eight lanes.
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_feature = "sse2")),
        expect(dead_code, reason = "other processors have only one kind of registers")
    )]
    pub(crate) wide_registers: bool,
}

impl Forest {
    /// Starts the configuration of a forest whose points have `dimensions` values.
    pub fn builder(dimensions: usize) -> ForestBuilder {
        ForestBuilder::new(dimensions)
    }

    pub(crate) fn new(config: &ForestBuilder) -> Self {
        let window = Window::new(config);
        let store = window.store();
        let pool = Pool::new(store.width(), window.slots());
        let trees = Rng::for_trees(config.seed).take(config.trees).map(Tree::new).collect();
        Self::from_parts(window, store, pool, trees, vec![1.0; config.dimensions])
    }

    pub(crate) fn from_parts(
        window: Window,
        store: Store,
        pool: Pool,
        trees: Vec<Tree>,
        weights: Vec<f32>,
    ) -> Self {
        let width = store.width();
        let wide_weights = widen(&weights, width);
        let (leaving, coming, work) = (Probe::new(width), Probe::new(width), Work::new(width));
        Self {
            window,
            store,
            pool,
            trees,
            weights,
            wide_weights,
            leaving,
            coming,
            work,
            wide_registers: wide_registers(),
        }
    }

    /// Sets the weights of the dimensions. From now on, a cut falls into a dimension with a
    /// probability in proportion to weight × range.
    ///
    /// `weights` has one value per value of a raw point; all are 1 at the beginning. Existing cuts
    /// stay. The weights are part of the state and of a snapshot. If the typical range of a
    /// dimension is a thousand times that of another, and both should count alike, give it a
    /// thousandth of the weight.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`] or [`Error::BadWeight`], and leaves the forest unchanged.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), Error> {
        check_length("weights", weights.len(), self.dimensions())?;
        check_weights(weights)?;
        self.weights.copy_from_slice(weights);
        for (i, &weight) in weights.iter().cycle().take(self.store.width()).enumerate() {
            self.wide_weights[i] = weight;
        }
        Ok(())
    }

    /// Returns the number of points that the trees hold now, at most [`window`](Forest::window).
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Returns whether the trees hold no point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the largest number of points that the trees hold.
    pub fn window(&self) -> usize {
        self.window.size()
    }

    /// Returns the number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Returns the number of values of a point given to [`update`](Forest::update).
    pub fn dimensions(&self) -> usize {
        self.window.dimensions()
    }

    /// Returns the number of consecutive points that make one point of the trees.
    pub fn shingle(&self) -> usize {
        self.window.shingle()
    }

    /// Returns which points of the past the trees hold.
    pub fn sampling(&self) -> Sampling {
        self.window.sampling()
    }

    /// Returns the number of points received since the forest was built. Restoring a snapshot keeps
    /// the count.
    pub fn updates(&self) -> u64 {
        self.window.pushed()
    }

    /// Returns the bytes of memory that the forest occupies: on the heap and in the struct itself,
    /// without the allocator's overhead.
    pub fn memory_usage(&self) -> usize {
        size_of::<Self>()
            + self.window.heap_bytes()
            + self.store.heap_bytes()
            + self.pool.heap_bytes()
            + heap_bytes(&self.trees)
            + self.trees.iter().map(Tree::heap_bytes).sum::<usize>()
            + heap_bytes(&self.weights)
            + heap_bytes(&self.wide_weights)
            + self.leaving.heap_bytes()
            + self.coming.heap_bytes()
            + self.work.heap_bytes()
    }

    pub(crate) fn check(&self, point: &[f32]) -> Result<(), Error> {
        check_length("point", point.len(), self.dimensions())?;
        match point.iter().position(|value| !value.is_finite()) {
            Some(dimension) => Err(Error::NotFinite { dimension }),
            None => Ok(()),
        }
    }
}

impl ForestBuilder {
    /// Builds an empty forest.
    ///
    /// # Errors
    ///
    /// Returns [`Error::OutOfRange`] if a size is zero or beyond its limit, and [`Error::BadRate`]
    /// if the rate of decay is not between 0 and 1,000,000.
    pub fn build(self) -> Result<Forest, Error> {
        self.validate()?;
        Ok(Forest::new(&self))
    }
}

impl fmt::Debug for Forest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forest")
            .field("dimensions", &self.dimensions())
            .field("trees", &self.trees())
            .field("window", &self.window())
            .field("shingle", &self.shingle())
            .field("sampling", &self.sampling())
            .field("len", &self.len())
            .field("updates", &self.updates())
            .finish_non_exhaustive()
    }
}

/// Checks that all weights are finite and above zero.
pub(crate) fn check_weights(weights: &[f32]) -> Result<(), Error> {
    match weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
        Some(dimension) => Err(Error::BadWeight { dimension }),
        None => Ok(()),
    }
}

pub(crate) fn check_length(what: &'static str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(Error::WrongLength { what, got, expected }) }
}

/// Returns the weights of the dimensions of the trees, with zeros up to whole lanes.
fn widen(weights: &[f32], width: usize) -> Vec<f32> {
    let mut wide: Vec<f32> = weights.iter().copied().cycle().take(width).collect();
    wide.resize(padded(width), 0.0);
    wide
}
