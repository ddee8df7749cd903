//! `make bench-detect`: how well detectors detect on labelled series, and what they cost.

use std::io::{self, ErrorKind};

use clap::Parser as _;
use thicket_detector_bench::cli::{Args, run};

fn main() -> anyhow::Result<()> {
    let broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    match run(&Args::parse(), &mut io::stdout().lock()) {
        // The reader of the output, such as `head`, has closed it.
        Err(error) if error.downcast_ref().is_some_and(broken) => Ok(()),
        result => result,
    }
}
