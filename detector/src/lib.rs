//! The pure core of a Thicket detector: a reading in, a [`Detection`] out. It has no I/O, no clock
//! and no randomness but the forest's own. The same readings give the same bits on every machine,
//! with any number of snapshots and restores in between.
//!
//! # The method
//!
//! 1. *Steps.* If all fields of a sensor take few values, such as contacts, the reading is also
//!    judged by how rare its values, the changes and the stays are. Beside other fields, only the
//!    first change of a constant field is judged so.
//! 2. *Scale.* Each field has a running scale, so that fields of any unit and offset have equal
//!    weight. A noise floor keeps the first tiny change of a flat signal from looking extreme.
//! 3. *Level.* One Robust Random Cut Forest (`rrcf-rs`) of few trees and many points sees the values
//!    of all fields and the time of day. It measures in three ways how far the reading stands apart.
//! 4. *Forecasts and courses.* For each field, an autoregression forecasts the next reading, another
//!    one the next mean of four readings, and a dictionary holds the usual shapes of the last 16. Of
//!    several fields, each is compared with its own past first: how rare is the rarest of them, the
//!    mean of them, and their combination (Hotelling's T²)? Each value is also compared with its
//!    linear regression on the other fields.
//! 5. *Surprise.* Each measure, and a short and a long moving mean of it, becomes a tail probability
//!    against the sensor's whole past, which is kept in a bounded sketch. Their −log10 are combined
//!    within each view, so that the greatest counts most. The surprise is the weighted mean of the
//!    views.
//! 6. *Grade.* From 0 to 1, with the same meaning on every sensor: a grade of g or more is expected
//!    about once in 10^(g / (1 − g)) readings. The sensor's own past corrects the conversion.
//!    `alarms_per_week` sets the threshold, which follows the alarms that the sensor raises.
//! 7. *Events.* Consecutive anomalous readings form one [`Event`]. It continues while readings stay
//!    unusual. The detector hardly learns its readings, until the event has lasted so long that it
//!    is accepted as the new normal.
//! 8. *Causes.* Each field's share of an anomaly, and the value that the forest would have
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
//!   scored, by the readings of a `window`. `remark`: which of them only count or repeat another.
//!   `standing`: the report about them. `fields`: the values of a reading that make the point.
//!   `counter`: from the total of a counter to its growth.
//! - `rhythm`: the sensor's usual interval. `clock`: the time of day and of the week at its site.
//!   `clock_change`: a clock that goes back.
//! - `scale`, `spread`: a field's running scale, and a running mean with its deviation.
//!   `repetition`: how often a field repeats its value, and how rare that is. `excursion`: the same of
//!   how long it is away from the value at which it rests.
//! - `durations`, `pace`: how long a field stays at a value, and how fast it changes.
//!   `value_table`: the values of a field that takes few of them. `new_values`: how rare another
//!   one is. `stepwise`: how rare a value, a change and a stay are. `steps`: all stepwise fields of
//!   a sensor. `watch`: constant fields that are no part of the point.
//! - `level`: the forest. `autoregression`: the coefficients of a forecast. `forecast`: a field's
//!   forecast. `course`: a field's slower course and its shapes. `covariance`: T² of the residuals of
//!   all fields. `relations`: each value beside the one that the other fields make likely.
//!   `field_models`: forecasts, courses, covariance and relations of all fields. `residuals`: what
//!   they say together. `caution`: when they learn slowly although no anomaly is open. `model`: the
//!   forest and the forecasts of a sensor.
//! - `tail`: how rare a value is among all past values. `surprise`: the views, and from many
//!   measures to one number.
//! - `grade`: from surprise to grade and threshold. `calibration`: the same, corrected by the
//!   sensor's own past and its alarms. `onset`: where something begins.
//! - `guard`: when an anomaly begins and ends, and what is learnt of it. `event`: the event itself.
//!   `cause`: its causes. `suppress`: which events are not announced. `label`: what people say about
//!   an event. `verdicts`: what they said about past ones, and what follows for the next ones.
//! - `relearn`: the calibration of the scales, and the new forest when the fields change.
//! - `detection`: the result for one reading. `detector`: all parts together. `explain`: the same,
//!   step by step.
//! - `state`: what a detector knows of its sensor. `snapshot`: the state as bytes.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact bits"))]

mod autoregression;
mod calibration;
mod cause;
mod caution;
mod clock;
mod clock_change;
mod config;
mod config_error;
mod counter;
mod course;
mod covariance;
mod detection;
mod detector;
mod durations;
mod event;
mod exclude;
mod excursion;
mod explain;
mod field_models;
mod fields;
mod forecast;
mod grade;
mod guard;
mod label;
mod level;
mod model;
mod named_config;
mod new_values;
#[cfg(test)]
#[path = "../tests/series/noise.rs"]
mod noise;
mod onset;
mod pace;
mod relations;
mod relearn;
mod remark;
mod repetition;
mod residuals;
mod rhythm;
mod scale;
mod signed_tail;
mod snapshot;
mod spread;
mod standing;
mod state;
mod steps;
mod stepwise;
mod suppress;
mod surprise;
mod tail;
mod tracker;
mod value_table;
mod verdicts;
mod watch;
mod window;

pub use cause::{Cause, Direction};
pub use clock::{TimeZone, UnknownTimeZone};
pub use config::{ALGORITHM, ClockContext, DetectorConfig, Profile, Shape};
pub use config_error::{ConfigError, ConfigErrors};
pub use detection::{Detection, Marks, Rejected};
pub use detector::Detector;
pub use event::Event;
pub use exclude::Exclude;
pub use explain::{
    AwayExplanation, Explanation, MeasureExplanation, NeighbourExplanation, StepExplanation,
    StuckExplanation, ViewExplanation,
};
pub use label::Label;
pub use named_config::NamedConfig;
pub use snapshot::RestoreError;
pub use standing::{FieldReport, FieldStanding, Remark, Standing};
pub use suppress::{Maintenance, NotHours, QuietHours, Suppression};
pub use surprise::{MovingMeans, RatedValue};
