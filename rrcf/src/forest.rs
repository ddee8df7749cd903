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

/// A Robust Random Cut Forest over the last points of a series, or over a sample of all of them.
///
/// Every [`update`](Forest::update) takes in one point, forgets one once the window is full, and scores the new one among all
/// points held. See the [crate documentation](crate) for what the score means.
#[derive(Clone)]
pub struct Forest {
    pub(crate) window: Window,
    pub(crate) store: Store,
    pub(crate) pool: Pool,
    pub(crate) trees: Vec<Tree>,
    /// One weight per raw dimension, as given.
    pub(crate) weights: Vec<f32>,
    /// The weights per dimension of the trees: repeated over the shingle, and zeros up to whole lanes.
    pub(crate) wide_weights: Vec<f32>,
    /// The point that leaves the trees.
    pub(crate) leaving: Probe,
    /// The point that comes in.
    pub(crate) coming: Probe,
    pub(crate) work: Work,
    /// Whether the processor has registers of eight lanes.
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_feature = "sse2")),
        expect(dead_code, reason = "other processors have one kind of registers")
    )]
    pub(crate) wide_registers: bool,
}

impl Forest {
    /// Begins the configuration of a forest whose points have `dimensions` values.
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

    /// Weighs the dimensions: from now on, a cut falls into a dimension with a probability in proportion to weight × range.
    ///
    /// One weight per value of a raw point, all 1 in the beginning. Cuts already made stay. The weights are part of the state and of a
    /// snapshot. A dimension whose typical range is a thousand times another's, and should count the same, gets a thousandth of its weight.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLength`] or [`Error::BadWeight`]; the forest is then unchanged.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), Error> {
        check_length("weights", weights.len(), self.dimensions())?;
        check_weights(weights)?;
        self.weights.copy_from_slice(weights);
        for (i, &weight) in weights.iter().cycle().take(self.store.width()).enumerate() {
            self.wide_weights[i] = weight;
        }
        Ok(())
    }

    /// Points the trees hold now; at most [`window`](Forest::window).
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether the trees hold no point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Points the trees hold at most.
    pub fn window(&self) -> usize {
        self.window.size()
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Values of one point given to [`update`](Forest::update).
    pub fn dimensions(&self) -> usize {
        self.window.dimensions()
    }

    /// Consecutive points that make one point of the trees.
    pub fn shingle(&self) -> usize {
        self.window.shingle()
    }

    /// Which points of the past the trees hold.
    pub fn sampling(&self) -> Sampling {
        self.window.sampling()
    }

    /// Points that came since the forest was built, restored or not.
    pub fn updates(&self) -> u64 {
        self.window.pushed()
    }

    /// Bytes the forest occupies, on the heap and itself, without the allocator's overhead.
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
    /// [`Error::OutOfRange`] if a size is zero or beyond its limit.
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

/// Whether all weights can stand: finite and above zero.
pub(crate) fn check_weights(weights: &[f32]) -> Result<(), Error> {
    match weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
        Some(dimension) => Err(Error::BadWeight { dimension }),
        None => Ok(()),
    }
}

pub(crate) fn check_length(what: &'static str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(Error::WrongLength { what, got, expected }) }
}

/// The weights of the dimensions of the trees, with zeros up to whole lanes.
fn widen(weights: &[f32], width: usize) -> Vec<f32> {
    let mut wide: Vec<f32> = weights.iter().copied().cycle().take(width).collect();
    wide.resize(padded(width), 0.0);
    wide
}
