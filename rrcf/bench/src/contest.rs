//! The common interface of both forests: size, mode, and scoring a point.

use clap::ValueEnum;

use crate::series::Series;

/// Size of a forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of values of a raw point.
    pub fields: usize,
    /// Number of consecutive points that make one point of the trees.
    pub shingle: usize,
    /// Number of trees.
    pub trees: usize,
    /// Points per tree.
    pub window: usize,
}

impl Size {
    /// The main size: 100 trees of 256 points, a shingle of 8 over one field.
    pub const MAIN: Self = Self { fields: 1, shingle: 8, trees: 100, window: 256 };

    /// Returns the number of points after which a forest is warm. All trees are then full and, in
    /// [`Mode::Decay`], the ages of their points have their final distribution.
    ///
    /// krcflib fills its trees more and more slowly: after k windows, about exp(−k / 0.875) of a
    /// tree is still empty, which is 0.1 % after six.
    pub fn warm_after(&self, mode: Mode) -> usize {
        self.shingle
            + match mode {
                Mode::Fifo => 6 * self.window,
                Mode::Decay => (10 * self.window).max(6_000),
            }
    }
}

/// The rule by which a forest forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The oldest point leaves every tree when a new one comes. krcflib comes close to this with a
    /// decay of 1.
    Fifo,
    /// Each tree takes its own sample, in which recent points have more weight: the default of
    /// krcflib, 0.1 / window.
    Decay,
}

impl Mode {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "FIFO",
            Self::Decay => "decay",
        }
    }
}

/// A forest that takes part in a race.
pub trait Contestant {
    /// Scores a point and inserts it.
    fn step(&mut self, point: &[f32]) -> f64;
}

/// Feeds the same points to all contestants.
pub fn warm(contestants: &mut [&mut dyn Contestant], series: &mut Series, points: usize) {
    for point in series.take(points) {
        for contestant in &mut *contestants {
            contestant.step(&point);
        }
    }
}
