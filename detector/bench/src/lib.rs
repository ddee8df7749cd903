//! Measures how well a detector detects on labelled series, and what a sensor costs.
//!
//! - `cli`: the command line. `report`: runs what it asks for.
//! - `detection`: the figures on labelled series. `cost`: memory, checkpoint and processor time of
//!   a sensor. `calm`: alarms of series in which nothing happens. `faults`: which faults are found in
//!   them.
//! - `dataset`: the labelled series. `output`: grades and events as files.
//! - `figures`: the figures of a set. `ranking`: those that need no threshold. `spans`: found spans
//!   and false alarms. `numbers`: thresholds, medians and rounding.
//! - `profiles`, `parallel`, `stream`: which configurations, on all processors, reading by reading.
//!   The benchmark in `detector/nab` uses them too.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact bits"))]

pub mod calm;
pub mod cli;
pub mod cost;
pub mod dataset;
pub mod detection;
pub mod faults;
pub mod figures;
pub mod numbers;
pub mod output;
pub mod parallel;
pub mod profiles;
pub mod ranking;
pub mod report;
#[path = "../../tests/series/mod.rs"]
mod series;
pub mod spans;
pub mod stream;
