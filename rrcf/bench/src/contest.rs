//! What both forests have in common here: their size, how they forget, and taking in a point.

use clap::ValueEnum;

use crate::series::Series;

/// Size of a forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Values of a point as given.
    pub fields: usize,
    /// Consecutive points that make one of the trees.
    pub shingle: usize,
    /// Number of trees.
    pub trees: usize,
    /// Points per tree.
    pub window: usize,
}

impl Size {
    /// The size that most is said about: 100 trees of 256 points, a shingle of 8 over one field.
    pub const MAIN: Self = Self { fields: 1, shingle: 8, trees: 100, window: 256 };

    /// Points after which a forest is warm: all trees full and, in [`Mode::Decay`], the ages of their points
    /// spread as they will stay.
    ///
    /// krcflib fills its trees ever more hesitantly: after k windows about exp(−k / 0.875) of a tree is still
    /// empty, which is 0.1 % after six.
    pub fn warm_after(&self, mode: Mode) -> usize {
        self.shingle
            + match mode {
                Mode::Fifo => 6 * self.window,
                Mode::Decay => (10 * self.window).max(6_000),
            }
    }
}

/// How a forest forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The oldest point leaves every tree when a new one comes; krcflib comes close to it with a decay of 1.
    Fifo,
    /// Each tree samples for itself, recent points with more weight: the default of krcflib, 0.1 / window.
    Decay,
}

impl Mode {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "FIFO",
            Self::Decay => "decay",
        }
    }
}

/// A forest in the race.
pub trait Contestant {
    /// Scores a point and takes it in.
    fn step(&mut self, point: &[f32]) -> f64;
}

/// Feeds all contestants the same points.
pub fn warm(contestants: &mut [&mut dyn Contestant], series: &mut Series, points: usize) {
    for point in series.take(points) {
        for contestant in &mut *contestants {
            contestant.step(&point);
        }
    }
}
