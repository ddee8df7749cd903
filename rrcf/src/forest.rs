//! The forest: many trees over one window of points.

use std::fmt;

use crate::builder::ForestBuilder;
use crate::growth::heap_bytes;
use crate::points::Points;
use crate::rng::Rng;
use crate::tree::Tree;
use crate::{Error, Score};

/// A Robust Random Cut Forest over a sliding window.
///
/// Every [`update`](Forest::update) takes in one point, forgets the oldest once the window is full, and scores the new one among all
/// points held. See the [crate documentation](crate) for what the score means.
#[derive(Clone)]
pub struct Forest {
    pub(crate) points: Points,
    pub(crate) trees: Vec<Tree>,
    /// One weight per raw dimension, as given.
    pub(crate) weights: Vec<f32>,
    /// The weights per dimension of the trees: repeated over the shingle.
    wide_weights: Vec<f64>,
    /// The point that leaves the window during an update.
    leaving: Vec<f32>,
}

impl Forest {
    /// Begins the configuration of a forest whose points have `dimensions` values.
    pub fn builder(dimensions: usize) -> ForestBuilder {
        ForestBuilder::new(dimensions)
    }

    pub(crate) fn new(config: &ForestBuilder) -> Self {
        let points = Points::new(config.dimensions, config.shingle, config.window);
        let trees = Rng::for_trees(config.seed).take(config.trees).map(Tree::new).collect();
        Self::from_parts(points, trees, vec![1.0; config.dimensions])
    }

    pub(crate) fn from_parts(points: Points, trees: Vec<Tree>, weights: Vec<f32>) -> Self {
        let wide_weights = widen(&weights, points.shingle());
        let leaving = vec![0.0; points.width()];
        Self { points, trees, weights, wide_weights, leaving }
    }

    /// Takes in a point and scores it among the points of the window, itself included.
    ///
    /// Until as many points have come as the shingle is long there is nothing to score: the score is zero in all parts.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLength`] or [`Error::NotFinite`]; the forest is then unchanged.
    pub fn update(&mut self, point: &[f32]) -> Result<Score, Error> {
        self.check(point)?;
        Ok(self.take_in(point, &mut |_, _| {}))
    }

    /// Does what [`update`](Forest::update) does and also says which dimensions the score comes from.
    ///
    /// `contributions` has one value per dimension of the trees, `dimensions * shingle`: the fields of the oldest point of the shingle come
    /// first, those of the point just given last. They are zero or more and sum to 1, or are all zero where the score is. Each tree
    /// credits its collusive displacement to the dimension of the cut that parts the displaced subtree from its sibling.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Forest::update), and [`Error::WrongLength`] for `contributions`; the forest and `contributions` are then
    /// unchanged.
    pub fn update_attributed(&mut self, point: &[f32], contributions: &mut [f64]) -> Result<Score, Error> {
        self.check(point)?;
        check_length("contributions", contributions.len(), self.points.width())?;
        contributions.fill(0.0);
        let mut total = 0.0;
        let score = self.take_in(point, &mut |dimension, codisp| {
            contributions[dimension] += codisp;
            total += codisp;
        });
        if total > 0.0 {
            for contribution in contributions {
                *contribution /= total;
            }
        }
        Ok(score)
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
        check_length("weights", weights.len(), self.points.dimensions())?;
        check_weights(weights)?;
        self.weights.copy_from_slice(weights);
        for (wide, &weight) in self.wide_weights.iter_mut().zip(weights.iter().cycle()) {
            *wide = f64::from(weight);
        }
        Ok(())
    }

    /// Points the trees hold now; at most [`window`](Forest::window).
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether the trees hold no point yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Points the trees hold at most.
    pub fn window(&self) -> usize {
        self.points.window()
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Values of one point given to [`update`](Forest::update).
    pub fn dimensions(&self) -> usize {
        self.points.dimensions()
    }

    /// Consecutive points that make one point of the trees.
    pub fn shingle(&self) -> usize {
        self.points.shingle()
    }

    /// Points taken in since the forest was built, restored or not.
    pub fn updates(&self) -> u64 {
        self.points.pushed()
    }

    /// Bytes the forest occupies, on the heap and itself, without the allocator's overhead.
    pub fn memory_usage(&self) -> usize {
        size_of::<Self>()
            + self.points.heap_bytes()
            + heap_bytes(&self.trees)
            + self.trees.iter().map(Tree::heap_bytes).sum::<usize>()
            + heap_bytes(&self.weights)
            + heap_bytes(&self.wide_weights)
            + heap_bytes(&self.leaving)
    }

    fn check(&self, point: &[f32]) -> Result<(), Error> {
        check_length("point", point.len(), self.points.dimensions())?;
        match point.iter().position(|value| !value.is_finite()) {
            Some(dimension) => Err(Error::NotFinite { dimension }),
            None => Ok(()),
        }
    }

    /// Takes in a valid point. `credit` hears, tree by tree, the collusive displacement and the dimension it comes from.
    fn take_in(&mut self, point: &[f32], credit: &mut impl FnMut(usize, f64)) -> Score {
        let leaving = (self.points.len() == self.points.window()).then(|| self.points.slot(0));
        if let Some(slot) = leaving {
            self.leaving.copy_from_slice(self.points.point(slot));
        }
        self.points.push(point);
        if self.points.is_empty() {
            return Score::default();
        }
        let entering = self.points.slot(self.points.len() - 1);
        let mut sum = Score::default();
        for tree in &mut self.trees {
            if let Some(slot) = leaving {
                tree.forget(slot, &self.leaving, &self.points);
            }
            let placement = tree.insert(entering, &self.points, &self.wide_weights);
            credit(placement.dimension(), placement.codisp());
            sum.add(&placement);
        }
        sum.divide(self.trees.len() as f64)
    }
}

impl fmt::Debug for Forest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forest")
            .field("dimensions", &self.dimensions())
            .field("trees", &self.trees())
            .field("window", &self.window())
            .field("shingle", &self.shingle())
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

fn check_length(what: &'static str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(Error::WrongLength { what, got, expected }) }
}

fn widen(weights: &[f32], shingle: usize) -> Vec<f64> {
    let width = weights.len() * shingle;
    weights.iter().cycle().take(width).map(|&weight| f64::from(weight)).collect()
}
