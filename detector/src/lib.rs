//! The pure core of a Thicket detector: a reading in, a [`Detection`] out. It has no I/O, no clock
//! and no randomness but the forest's own. The same readings give the same bits on every machine,
//! with any number of snapshots and restores in between.
//!
//! # The method
//!
//! 1. *Scale.* Each field has a running scale, so that fields of any unit and offset have equal
//!    weight. A noise floor keeps the first tiny change of a flat signal from looking extreme.
//! 2. *Views.* Three Robust Random Cut Forests (`rrcf-rs`) of few trees and many points watch the
//!    sensor: its level and the time of day; its moving mean and the deviation from it; its moving
//!    spread. Each forest measures in three ways how far the reading stands apart.
//! 3. *Surprise.* Each measure, and the moving mean of each measure, becomes a tail probability
//!    against the sensor's whole past, which is kept in a bounded sketch. The surprise is the mean
//!    of their −log10.
//! 4. *Grade.* From 0 to 1, with the same meaning on every sensor: a grade of g or more is expected
//!    about once in 10^(g / (1 − g)) readings. `alarms_per_week` sets the threshold.
//! 5. *Events.* Consecutive anomalous readings form one [`Event`]. It continues while readings stay
//!    unusual. The detector hardly learns its readings, until the event has lasted so long that it
//!    is accepted as the new normal.
//! 6. *Causes.* Each field's share of an anomaly, and the value that the forest would have
//!    expected.
//!
//! `docs/detection.md` has the mathematics, its sources, and the measured benefit of each part.
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
//! - `config`: the settings, with their reference documentation. `config_error`: why a setting
//!   cannot be used. `named_config`: a configuration with its identifiers.
//! - `exclude`: names of fields that are no measurements. `tracker`: which fields of a sensor are
//!   scored, by the readings of a `window`. `standing`: the report about them. `fields`: the values
//!   of a reading that make the point.
//! - `rhythm`: the sensor's usual interval. `clock`: the time of day and of the week at its site.
//! - `scale`, `spread`, `trend`: a field's running scale, moving mean and moving spread.
//! - `view`: the three views, each with its forest. `model`: all forests of a sensor.
//! - `tail`: how rare a value is among all past values. `surprise`: from many measures to one
//!   number.
//! - `grade`: from surprise to grade and threshold. `onset`: where something begins.
//! - `guard`: when an anomaly begins and ends, and what is learnt of it. `event`: the event itself.
//!   `cause`: its causes. `suppress`: which events are not announced.
//! - `relearn`: the calibration, and the new forests when the fields change.
//! - `detection`: the result for one reading. `detector`: all parts together. `explain`: the same,
//!   step by step.
//! - `state`: what a detector knows of its sensor. `snapshot`: the state as bytes.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact bits"))]

mod calibration;
mod cause;
mod clock;
mod clock_change;
mod config;
mod config_error;
mod covariance;
mod detection;
mod detector;
mod event;
mod exclude;
mod explain;
mod fields;
mod forecast;
mod grade;
mod guard;
mod level;
mod model;
mod named_config;
mod onset;
mod relearn;
mod residuals;
mod rhythm;
mod scale;
mod snapshot;
mod spread;
mod standing;
mod state;
mod suppress;
mod surprise;
mod tail;
mod tracker;
mod window;

pub use cause::{Cause, Direction};
pub use clock::{TimeZone, UnknownTimeZone};
pub use config::{ALGORITHM, ClockContext, DetectorConfig, Profile, Shape};
pub use config_error::ConfigError;
pub use detection::{Detection, Marks, Rejected};
pub use detector::Detector;
pub use event::Event;
pub use exclude::Exclude;
pub use explain::{Explanation, MeasureExplanation, NeighbourExplanation, ViewExplanation};
pub use guard::Label;
pub use named_config::NamedConfig;
pub use snapshot::RestoreError;
pub use standing::{FieldReport, FieldStanding, Standing};
pub use suppress::{Maintenance, NotHours, QuietHours, Suppression};
