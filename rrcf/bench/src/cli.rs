//! The command line: the sections to run, the effort, and the order of the output.

use clap::{Parser, Subcommand, ValueEnum};

use crate::machine;
use crate::results::Results;
use crate::sections::{self, Effort};

/// Compares rrcf-rs with krcflib 4, the Random Cut Forest of AWS in Rust.
///
/// Each section prints a table. The last line of the output is JSON with the most important
/// figures. Both forests insert the same points, in turns, chunk by chunk. Times are CPU times of
/// the thread: the median over the chunks and, in brackets, the least disturbed chunk. A ratio is
/// the median of the ratios between chunks of the same turn; above 1, rrcf-rs is faster.
///
/// krcflib runs in its fastest configuration: one thread, all bounding boxes cached, internal
/// shingling, the smallest index types. One step of krcflib is `score`, then `update`. One step of
/// rrcf-rs is `update`, which also scores. Two modes are compared:
///
///   FIFO   rrcf-rs over a sliding window; krcflib with a `time_decay` of 1, so that nearly every
///          tree inserts every point and removes about the oldest one, which is the same work
///   decay  rrcf-rs over a time-decayed reservoir; krcflib with its default decay, 0.1 / window,
///          so that about one tree in ten inserts a point
///
/// The full run takes a few minutes and up to 5 GB of memory, nearly all of it for the cold caches.
#[derive(Parser)]
#[command(name = "rrcf-bench", version, verbatim_doc_comment)]
struct Arguments {
    /// Runs only these sections, separated by commas; the JSON then holds only their figures
    #[arg(long, value_delimiter = ',', value_name = "SECTIONS")]
    only: Vec<Section>,

    /// Measures fewer and shorter chunks, fewer sizes and 200 cold forests: under a minute, but
    /// noisier
    #[arg(long)]
    quick: bool,

    /// Number of forests of each library, fed round-robin in the section `cold` [default: 2000,
    /// quick: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    forests: Option<u32>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// A section of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// 100 trees, window 256, shingle 8: time per point in both modes
    Main,
    /// The same size: memory of a warm forest, size and time of its snapshot
    Memory,
    /// Thousands of forests in turn, so that each has left the caches when its next point comes
    Cold,
    /// 10 and 16 trees over 1,024 to 4,096 points of 3 and 8 fields
    Few,
    /// Growth of depth and time with the window, rrcf-rs alone
    Window,
    /// Continuous and quantised data in six shapes and three forest sizes: finds the worst case
    Matrix,
}

#[derive(Subcommand)]
enum Command {
    /// Measures warm forests of one kind and prints JSON; the section `memory` starts this command
    #[command(hide = true)]
    Weigh(sections::memory::Weigh),
}

/// Runs the program with the arguments of the process.
pub fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Weigh(weigh)) = arguments.command {
        return weigh.run();
    }
    let effort = Effort::new(arguments.quick, arguments.forests);
    let mut results = Results::default();
    machine::print();
    for section in Section::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(section) {
            match section {
                Section::Main => sections::main::run(&effort, &mut results),
                Section::Memory => sections::memory::run(&effort, &mut results)?,
                Section::Cold => sections::cold::run(&effort, &mut results),
                Section::Few => sections::few::run(&effort),
                Section::Window => sections::window::run(&effort),
                Section::Matrix => sections::matrix::run(&effort, &mut results),
            }
        }
    }
    println!();
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sections_are_separated_by_commas() {
        let arguments = Arguments::try_parse_from(["rrcf-bench", "--only", "main,matrix"]).unwrap();
        assert!(arguments.only == [Section::Main, Section::Matrix]);
    }
}
