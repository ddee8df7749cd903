//! Exact Robust Random Cut Forest (RRCF) for streaming anomaly detection.
//!
//! A [`Forest`] watches a series of points, remembers the last few hundred or thousand of them, and says of each new one how far it
//! stands out. It needs no training, copes with drift because it forgets, and with several fields at once.
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
//! **A random cut tree** holds the points of the window. Draw the smallest box around them; pick a dimension with a probability
//! in proportion to the length of that side; cut the box there at a uniformly random place; go on with each half until every point
//! is alone. A point far from all others is cut off early, with almost the whole window on the other side of the cut.
//!
//! **Inserting and forgetting.** The tree follows the stream: a new point goes down from the root, and at each box that it makes
//! grow, chance decides whether a cut parts it from everything in there or whether the cut that is there stays. Forgetting a point
//! takes out its leaf and the cut above it. Both leave exactly the distribution that building a new tree from the same points has
//! (Guha, Mishra, Roy, Schrijvers: *Robust Random Cut Forest Based Anomaly Detection On Streams*, ICML 2016); that is what "exact"
//! means here, and what the tests compare with the original implementation.
//!
//! **Displacement.** If a point were taken out, the subtree beside it would move up by one: as many points as that subtree
//! holds would have a simpler description. An outlier displaces many. But two outliers side by side displace only each other.
//! *Collusive displacement* (`CoDisp`) therefore asks of every subtree that holds the point: how many points are displaced, per
//! point taken out, if all of it goes? The largest answer is the tree's score, and [`Score::codisp`] is the mean over all trees,
//! with the new point already in place. Ordinary points score low, in the order of 1 to 10; a point unlike all others comes near the
//! number of points in the window. What is high for *your* series depends on its noise: compare with its own past scores.
//!
//! **Shingles.** With a shingle of 4, the trees see the last four points as one. A value that is ordinary by itself but not in its
//! place, such as a missing beat, then stands out.
//!
//! **Several fields** share the cuts in proportion to their ranges, so that a field in millions drowns one in percent. Give comparable
//! scales to what is to count alike, or set [weights](Forest::set_weights). [`Forest::update_attributed`] says which field a score
//! comes from, and [`Forest::neighbours`] which points are near: what would have been ordinary there.
//!
//! **What it remembers** is up to you: the last points, a uniform sample of all that ever came, or a [sample](Sampling) in which old points
//! fade. A point that the sample does not take in is scored as if it were, and costs a good half of an update.
//!
//! ```
//! use rrcf_rs::{Forest, Sampling};
//!
//! let mut forest = Forest::builder(1).window(128).sampling(Sampling::Reservoir).build()?;
//! for n in 0..5_000_u16 {
//!     // A week of one kind, then many of another.
//!     forest.update(&[if n < 700 { 50.0 + f32::from(n % 7) } else { f32::from(n % 11) }])?;
//! }
//! assert_eq!(forest.len(), 128);
//! // It has not forgotten the first week: a point like those has company.
//! assert!(forest.neighbours(&[53.0], 1)?[0].distance < 10.0);
//! # Ok::<(), rrcf_rs::Error>(())
//! ```
//!
//! **Readings that are not there** can be [filled in](Forest::impute) as the forest would expect them; readings that turn out to be false can
//! be [taken back](Forest::remove). [`Forest::score`] scores a point without taking it in.
//!
//! # Properties
//!
//! - A way down by the cuts, a way back up along the boxes that a point is outside of: that is an update. Subtrees of at most sixteen
//!   points are flat arrays without links or boxes, so that little memory is touched.
//! - Equal points share a leaf that counts them: quantised series make small, quick trees.
//! - Same seed and same points give the same scores, to the bit, on every platform and with every kind of vector registers: only
//!   `+ - * /` reach a score, in a fixed order, and logarithms come from `libm`.
//! - [`Forest::snapshot`] holds the whole state, random numbers included; the restored forest continues bit for bit. With the feature `serde` a
//!   forest is serialised as these bytes.
//! - Values must be finite `f32`; anything else is an [`Error`] and changes nothing. `-0.0` counts as `0.0`. An `f32` has 24 significant
//!   bits: subtract a large constant offset (a counter, an epoch time) in `f64` first.
//! - Without the feature `std`, which is on unless turned off, the crate needs no more than `alloc`; processors are then not asked for AVX2.
//!
//! # Choosing sizes
//!
//! The window is what "ordinary" is measured against; it should span some periods of the series. More trees make scores
//! less noisy: 40 to 100 where single scores matter, 10 to 20 where many points per tree make up for it. Time per point grows with
//! trees × log(window), and slowly with dimensions × shingle: about 0.4 µs per tree. A tree takes 15 bytes per point of one dimension, 20 of three, 30 of eight.

#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![cfg_attr(
    not(test),
    warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)
)]
#![allow(
    clippy::inline_always,
    reason = "the inner loops are compiled once for each kind of processor, which only works on what is inlined"
)]

extern crate alloc;

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
