//! `make bench-detect`: how well detectors detect on labelled series, and what they cost.

use std::io;

use clap::Parser as _;
use thicket_detector_bench::cli::Args;
use thicket_detector_bench::report::{allow_broken_pipe, run};

fn main() -> anyhow::Result<()> {
    allow_broken_pipe(run(&Args::parse(), &mut io::stdout().lock()))
}
