//! Synthetic city sounds, their replay as sensor readings over MQTT, and the reconciliation of what was published with what
//! was stored.
//!
//! In the order that data flows:
//!
//! - [`synth`] writes a data set in `UrbanSound8K`'s layout from a seed.
//! - [`audio`] turns sound files into spectral frames and those into features.
//! - [`scenario`] mixes them into the readings of a city's sensors, with labelled events.
//! - [`replay`] publishes the readings over MQTT and [`manifest`] remembers what the broker confirmed.
//! - [`verify`] compares that with what PostgreSQL holds, and [`digest`] condenses all rows into one hash.
//!
//! [`random`] holds the deterministic numbers under all of it and [`sound_class`] the ten classes; [`cli`] is the program
//! `thicket-loadtest`.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests mean the very bits"))]

pub mod audio;
pub mod cli;
mod database;
pub mod demo;
pub mod digest;
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
