//! Exact Robust Random Cut Forest (RRCF) for streaming anomaly detection.
//!
//! A [`Forest`] reads a series of points, keeps the last few hundred or thousand of them, and
//! scores how far each new point stands out. It needs no training. It adapts to drift because it
//! forgets old points. A point can have several fields.
//!
//! ```
//! use rrcf_rs::Forest;
//!
//! let mut forest = Forest::builder(1).trees(40).window(256).shingle(4).seed(1).build()?;
//! let mut ordinary: f64 = 0.0;
//! for hour in 0..600_u16 {
//!     let load = f32::from(hour % 24) + f32::from(hour * 7 % 5) * 0.1;
//!     ordinary = ordinary.max(forest.update(&[load])?.codisp);
//! }
//! let odd = forest.update(&[60.0])?;
//! assert!(odd.codisp > 2.0 * ordinary);
//! # Ok::<(), rrcf_rs::Error>(())
//! ```
//!
//! # How it works
//!
//! **A random cut tree** holds the points of the window. To build one, draw the smallest box around
//! all points. Pick a dimension with a probability in proportion to the length of that side, and
//! cut the box there at a uniformly random place. Repeat this on both halves until every point is
//! alone. A point far from all others is cut off early, with almost the whole window on the other
//! side of the cut.
//!
//! **Inserting and forgetting.** The tree follows the stream. A new point goes down from the root.
//! At each box that the point makes grow, chance decides: either a new cut separates the point from
//! everything in the box, or the existing cut stays and the point goes on. Forgetting a point
//! removes its leaf and the cut above the leaf. Both operations keep exactly the distribution of a
//! tree that is built from the same points (Guha, Mishra, Roy, Schrijvers: *Robust Random Cut
//! Forest Based Anomaly Detection On Streams*, ICML 2016). This is what "exact" means here, and the
//! tests compare it with the original implementation.
//!
//! **Displacement.** If a point were removed, its sibling subtree would move up by one level. The
//! displacement of the point is the number of points in that subtree. An outlier displaces many
//! points. But two outliers side by side displace only each other. *Collusive displacement*
//! (`CoDisp`) therefore looks at every subtree that holds the point: if the whole subtree is
//! removed, how many points are displaced per removed point? The largest ratio is the tree's score.
//! [`Score::codisp`] is the mean over all trees, with the new point already inserted. Ordinary
//! points score about 1 to 10. A point unlike all others comes near the number of points in the
//! window. Which score is high for *your* series depends on its noise, so compare with its own past
//! scores.
//!
//! **Shingles.** With a shingle of 4, the trees see the last four points as one. A value that is
//! ordinary by itself but wrong at its place in the sequence, such as a missing beat, then stands
//! out.
//!
//! **Several fields** share the cuts in proportion to their ranges, so a field in millions hides a
//! field in percent. Scale the fields alike if they should count alike, or set
//! [weights](Forest::set_weights). [`Forest::update_attributed`] tells which field a score comes
//! from. [`Forest::neighbours`] returns the nearest points that the forest holds, which show what
//! would have been ordinary.
//!
//! **Sampling.** You choose which points the forest keeps: the last points, a uniform sample of all
//! points so far, or a [sample](Sampling) in which old points fade. A point that the sample does
//! not take is scored as if it were taken. It costs a little more than half of an update.
//!
//! ```
//! use rrcf_rs::{Forest, Sampling};
//!
//! let mut forest = Forest::builder(1).window(128).sampling(Sampling::Reservoir).build()?;
//! for n in 0..5_000_u16 {
//!     // A week of one kind, then many weeks of another kind.
//!     forest.update(&[if n < 700 { 50.0 + f32::from(n % 7) } else { f32::from(n % 11) }])?;
//! }
//! assert_eq!(forest.len(), 128);
//! // The forest still holds points of the first week.
//! assert!(forest.neighbours(&[53.0], 1)?[0].distance < 10.0);
//! # Ok::<(), rrcf_rs::Error>(())
//! ```
//!
//! **Missing and false readings.** [`Forest::impute`] fills missing values with the values that the
//! forest expects. [`Forest::remove`] removes a reading that turned out to be false.
//! [`Forest::score`] scores a point without inserting it.
//!
//! # Properties
//!
//! - An update goes down along the cuts, and back up along the boxes that the point lies outside
//!   of. Subtrees of at most sixteen points are flat arrays without links or boxes, so an update
//!   touches little memory.
//! - Equal points share a leaf with a count. Quantised series make small, fast trees.
//! - The same seed and the same points give the same scores, bit for bit, on every platform and
//!   with every kind of vector registers. Scores use only `+ - * /` in a fixed order, and
//!   logarithms from `libm`.
//! - [`Forest::snapshot`] holds the whole state, including the random numbers. The restored forest
//!   continues bit for bit. With the feature `serde`, a forest is serialised as these bytes.
//! - Values must be finite `f32`. Any other value is an [`Error`] and changes nothing. `-0.0`
//!   counts as `0.0`. An `f32` has 24 significant bits: subtract a large constant offset (a
//!   counter, an epoch time) in `f64` first.
//! - Unsafe functions read and write without checks of bounds where a check costs speed. Each names
//!   its conditions, which debug builds check. The feature `checked` checks them in release builds
//!   too.
//! - Without the default feature `std`, the crate needs only `alloc`. It then does not detect AVX2.
//!
//! # Choosing sizes
//!
//! The window defines what is ordinary; it should span several periods of the series. More trees
//! make scores less noisy: use 40 to 100 where single scores matter, and 10 to 20 where each tree
//! holds many points. The time per point grows with trees × log(window), and slowly with dimensions
//! × shingle: about 0.4 µs per tree. A tree takes 15 bytes per point of one dimension, 20 bytes for
//! three dimensions, and 30 bytes for eight.

#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![cfg_attr(
    not(test),
    warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)
)]
#![allow(
    clippy::inline_always,
    reason = "the inner loops are compiled once per kind of processor, which needs inlining"
)]

extern crate alloc;

/// Checks a condition, such as one of an unsafe function, where debug assertions are on or the
/// feature `checked` is.
macro_rules! check {
    ($($condition:tt)*) => {
        if cfg!(any(debug_assertions, feature = "checked")) {
            assert!($($condition)*);
        }
    };
}

mod builder;
mod eight;
mod error;
mod forest;
mod growth;
mod lanes;
mod pass;
mod query;
mod reservoir;
mod resize;
mod ring;
mod rng;
mod score;
#[cfg(feature = "serde")]
mod serde;
mod snapshot;
mod store;
mod tree;
mod update;
mod window;

pub use builder::{ForestBuilder, Sampling};
pub use error::Error;
pub use forest::Forest;
pub use query::Neighbour;
pub use score::Score;
