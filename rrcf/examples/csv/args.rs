//! The arguments of the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use rrcf_rs::Sampling;

/// Scores the rows of a CSV table and writes them, each with its score, to standard output.
///
/// A cell that is empty or holds NA, NaN or null is a missing value. The forest fills it in with
/// the value that it expects.
#[derive(Debug, Parser)]
#[command(name = "csv", version)]
pub(crate) struct Options {
    /// CSV file to read; `-` or no file reads standard input
    pub(crate) file: Option<PathBuf>,

    /// Column of values, by name or by number from 1; repeat it for points of several fields
    /// [default: the first column of numbers]
    #[arg(long = "value", value_name = "COLUMN")]
    pub(crate) values: Vec<String>,

    /// Column to copy to the output unchanged; it also labels the plot
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,

    /// The first line is a row, not the names of the columns
    #[arg(long)]
    pub(crate) no_header: bool,

    /// Number of trees
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) trees: usize,

    /// Points that the forest remembers
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) window: usize,

    /// Rows that make one point of the trees
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) shingle: usize,

    /// Seed of the random cuts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Points that the forest keeps: `sliding`, `reservoir` or `decay:RATE`
    #[arg(long, value_name = "SAMPLING", default_value = "sliding", value_parser = sampling)]
    pub(crate) sampling: Sampling,

    /// Draws the series and its scores into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Number of highest scores to mark in the drawing
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) marks: usize,
}

fn sampling(value: &str) -> Result<Sampling, String> {
    match (value, value.strip_prefix("decay:").map(f64::from_str)) {
        ("sliding", _) => Ok(Sampling::SlidingWindow),
        ("reservoir", _) => Ok(Sampling::Reservoir),
        (_, Some(Ok(rate))) => Ok(Sampling::TimeDecayed { rate }),
        _ => Err("expected `sliding`, `reservoir` or `decay:RATE`".to_owned()),
    }
}
