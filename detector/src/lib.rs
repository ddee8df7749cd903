//! The pure core of a Thicket detector: a reading in, a [`Detection`] out. No I/O, no clock, no randomness but the forest's
//! own: the same readings give the same bits, on every machine, with any number of snapshots and restores in between.
//!
//! # The method
//!
//! 1. *Scale.* Each field has a running scale, so that fields of any unit and offset weigh alike, and a noise floor, so
//!    that the first tiny change of a flat signal is no catastrophe.
//! 2. *Views.* Three Robust Random Cut Forests (`rrcf-rs`) of few trees and many points look at the sensor: at its level and the time
//!    of day, at its moving mean and how far it is off, and at its moving spread. Each says in three ways how far the reading stands apart.
//! 3. *Surprise.* Each measure, and the moving mean of each, becomes a tail probability against the sensor's whole past, kept in a
//!    bounded sketch; the surprise is the mean of their −log10.
//! 4. *Grade.* From 0 to 1, with the same meaning on every sensor: a grade of g or more is expected about once in 10^(g / (1 − g))
//!    readings. `alarms_per_week` is the threshold.
//! 5. *Events.* Consecutive anomalous readings are one [`Event`]. Once begun, it goes on while readings stay unusual, and what is part of
//!    it is hardly learnt, until it has lasted so long that it is the new normal.
//! 6. *Causes.* Each field's part in an anomaly, and what the forest would have expected instead.
//!
//! `docs/detection.md` has the mathematics, its sources and what each part buys.
//!
//! ```
//! use thicket_detector::{Detector, DetectorConfig, Profile};
//!
//! let config = DetectorConfig { profile: Profile::Small, ..DetectorConfig::default() };
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
//! - `config`: what an operator may set; the reference documentation. `named_config`: a configuration with its identifiers.
//! - `fields`: which of a reading's values make the point.
//! - `rhythm`: how often the sensor speaks. `clock`: the time of day and of the week at its site.
//! - `scale`, `spread`, `trend`: a field's running scale, moving mean and moving spread.
//! - `view`: three ways of looking at a sensor, each with its forest. `model`: all of them together.
//! - `tail`: how rare a value is among all that were ever seen. `surprise`: from many measures to one figure.
//! - `grade`: what the figure means. `onset`: where something begins.
//! - `cause`: why. `guard`: what is learnt while it lasts. `suppress`: who hears of it. `event`: consecutive anomalous readings.
//! - `detector`: all of it together. `explain`: the same, shown step by step.
//! - `snapshot`: the state as bytes.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests mean the very bits"))]

mod cause;
mod clock;
mod config;
mod detection;
mod detector;
mod event;
mod explain;
mod fields;
mod grade;
mod guard;
mod model;
mod named_config;
mod onset;
mod rhythm;
mod scale;
mod snapshot;
mod spread;
mod suppress;
mod surprise;
mod tail;
mod trend;
mod view;

pub use cause::{Cause, Direction};
pub use clock::{TimeZone, UnknownTimeZone};
pub use config::{ALGORITHM, ClockContext, ConfigError, DetectorConfig, Profile, Shape};
pub use detection::{Detection, Marks, Rejected};
pub use detector::Detector;
pub use event::Event;
pub use explain::{Explanation, MeasureExplanation, NeighbourExplanation, ViewExplanation};
pub use guard::Label;
pub use named_config::NamedConfig;
pub use snapshot::RestoreError;
pub use suppress::{Maintenance, NotHours, QuietHours, Suppression};
