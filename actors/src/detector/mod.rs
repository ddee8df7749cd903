//! One actor per sensor: glue around the pure core of `thicket-detector`, and the replay that brings it back.

mod actor;
mod configs;
mod restore;

pub use actor::DetectorActor;
pub use configs::{DetectorConfigs, DetectorRule};
pub use restore::{RestoreFacts, restore};
