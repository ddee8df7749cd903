//! Measures how well a detector detects on labelled series, and what a sensor costs.
//!
//! - `cli`: the command line. `report`: the tables.
//! - `dataset`: the labelled series. `output`: grades and events as files.
//! - `figures`: the figures of a set. `ranking`: those that need no threshold. `spans`: found spans
//!   and false alarms. `quantile`: thresholds and medians.
//! - `profiles`, `parallel`, `stream`: which configurations, on all processors, reading by reading.
//!   The benchmark in `detector/nab` uses them too.

pub mod cli;
pub mod dataset;
pub mod figures;
pub mod output;
pub mod parallel;
pub mod profiles;
pub mod quantile;
pub mod ranking;
pub mod report;
pub mod spans;
pub mod stream;
