//! One actor per sensor around the pure core of `thicket-detector`, and the replay that restores
//! it.
//!
//! - `actor`: the messages to a detector.
//! - `restore`: rebuilds a detector from its checkpoint and its rows.
//! - `configs`: the configuration of each sensor.

mod actor;
mod apply;
mod configs;
mod restore;

pub use actor::DetectorActor;
pub use configs::{DetectorConfigs, DetectorRule};
pub use restore::{RestoreFacts, restore};
