//! Synthetic city sounds, their replay as sensor readings over MQTT, and the comparison of the
//! published readings with the stored rows.
//!
//! In the order of the data flow:
//!
//! - [`synth`] writes a data set in `UrbanSound8K`'s layout from a seed.
//! - [`audio`] turns sound files into spectral frames, and spectral frames into features.
//! - [`scenario`] mixes them into the readings of a city's sensors, with labelled events.
//! - [`replay`] publishes the readings over MQTT. [`manifest`] records the confirmed messages.
//! - [`verify`] compares the manifest with PostgreSQL. [`digest`] computes a hash over all rows.
//! - [`demo`] starts servers and an engine, and runs all of the above.
//!
//! [`random`] generates reproducible random numbers, and [`sound_class`] lists the ten classes.
//! [`metrics_page`] reads the engine's metrics. [`cli`] is the program `thicket-loadtest`.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare bits"))]

pub mod audio;
pub mod cli;
pub mod demo;
mod http;
pub mod manifest;
pub mod metrics_page;
mod progress_line;
pub mod random;
pub mod replay;
pub mod scenario;
pub mod sound_class;
pub mod synth;
mod time;
pub mod verify;

pub use thicket_store::digest;
