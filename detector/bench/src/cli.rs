//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How well the profiles detect on the labelled series.
    Detection,
    /// What a sensor costs: memory, checkpoint and processor time.
    Cost,
    /// How many alarms calm series raise, and which outliers are found. Needs no labelled series.
    Calm,
    /// Which faults of a sensor are found, in the same kinds of series. Needs no labelled series.
    Faults,
}

/// Measures how well the profiles of the detector detect on labelled series, and what they cost.
#[derive(Parser)]
pub struct Args {
    /// Folder with `index.csv` and <set>/<series>.csv.gz. detector/bench/README.md says where to
    /// get the sets and how to lay them out.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Measures only this part. Can be repeated.
    #[arg(long = "part", value_name = "PART")]
    pub parts: Vec<Part>,
    /// Numbers of fields of the sensors whose cost is measured, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,13", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub fields: Vec<u16>,
    /// Folder for the grades and events: <DIR>/<profile>/<seed>/<set>/<series>.csv and
    /// <series>.events.csv.
    #[arg(long, value_name = "DIR", default_value = "target/detect")]
    pub out: PathBuf,
    /// Measures only this profile: small, medium or large.
    #[arg(long)]
    pub profile: Option<String>,
    /// Measures only this set. Can be repeated.
    #[arg(long = "set", value_name = "NAME")]
    pub sets: Vec<String>,
    /// Number of seeds of each profile. The result is the median over the seeds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub seeds: u64,
    /// Settings of the detector instead of the defaults, as JSON, such as {"smoothing": 40}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub settings: String,
    /// Also prints the result of each series.
    #[arg(long)]
    pub per_series: bool,
}

impl Args {
    /// Returns whether a part is to be measured.
    pub fn measures(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}
