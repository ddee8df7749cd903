//! Synthetic city sounds, their replay as sensor readings over MQTT, and the reconciliation of what was published with what
//! was stored.
//!
//! In the order that data flows:
//!
//! - [`synth`] writes a data set in `UrbanSound8K`'s layout from a seed.
//! - [`audio`] turns sound files into spectral frames and those into features.
//!
//! [`random`] holds the deterministic numbers under all of it and [`sound_class`] the ten classes.

pub mod audio;
pub mod random;
pub mod sound_class;
pub mod synth;
