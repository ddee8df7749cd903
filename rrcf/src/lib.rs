//! Exact Robust Random Cut Forest for streaming anomaly detection.
#![forbid(unsafe_code)]

mod bounds;
mod builder;
mod error;
mod forest;
mod growth;
mod points;
mod rng;
mod score;
mod snapshot;
mod tree;

pub use builder::ForestBuilder;
pub use error::Error;
pub use forest::Forest;
pub use score::Score;
