//! The pure core of a Thicket detector: a reading in, a [`Detection`] out. No I/O, no clock, no randomness but the forest's
//! own: the same readings give the same bits, on every machine, with any number of snapshots and restores in between.
//!
//! # The method
//!
//! 1. *Scale.* Each field has a running scale, so that fields of any unit and offset weigh alike, and a noise floor, so
//!    that the first tiny change of a flat signal is no catastrophe.
//! 2. *Forest.* The scaled fields are a point of a Robust Random Cut Forest of few trees and many points (`rrcf-rs`). It
//!    says how far the point stands apart in three ways: collusive displacement, depth, displacement.
//! 3. *Calibration.* Each of the three becomes a tail probability against the sensor's whole past, kept in a bounded
//!    sketch; s is the mean of their −log10.
//! 4. *Grade.* grade = s / (1 + s), from 0 to 1, with the same meaning on every sensor: a grade of g or more is expected about
//!    once in 10^(g / (1 − g)) readings. A reading is anomalous if it is rarer than `false_alarm_every` says.
//! 5. *Events.* Consecutive anomalous readings are one [`Event`]. Once begun, it goes on while readings stay unusual (once in
//!    a hundred), and what is part of it is not taken for the sensor's normal past, for a while.
//!
//! ```
//! use thicket_detector::{Detector, DetectorConfig};
//!
//! let config = DetectorConfig { trees: 8, window: 256, ..DetectorConfig::default() };
//! let mut detector = Detector::new("site-1/microphone-7", &config);
//! let names = ["level".to_owned()];
//! for i in 0..2_000 {
//!     let level = 50.0 + f64::from(i * 7_919 % 101) / 50.0;
//!     assert!(!detector.apply(i64::from(i), &names, &[level])?.anomaly);
//! }
//! let detection = detector.apply(2_000, &names, &[90.0])?;
//! assert!(detection.anomaly && detection.grade > Some(0.8));
//! # Ok::<(), thicket_detector::Rejected>(())
//! ```
//!
//! # Layout
//!
//! - `config`: what an operator may set; the reference documentation.
//! - `fields`: which of a reading's values make the point.
//! - `scale`: a field's running scale.
//! - `model`: the forest over the scaled fields.
//! - `tail`: how rare a value is among all that were ever seen.
//! - `grade`: from three measures to one grade.
//! - `event`: consecutive anomalous readings.
//! - `detector`: all of it together.
//! - `snapshot`, `wire`: the state as bytes.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests mean the very bits"))]

mod config;
mod detection;
mod detector;
mod event;
mod fields;
mod grade;
mod model;
mod scale;
mod snapshot;
mod tail;
mod wire;

pub use config::{ConfigError, DetectorConfig};
pub use detection::{Detection, Rejected};
pub use detector::Detector;
pub use event::Event;
pub use snapshot::RestoreError;
