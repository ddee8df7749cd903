//! Explores a larger world than the tests have time for: `cargo run -p thicket-model --example explore --release -- --readings 5`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use thicket_model::{Rule, Setting, explore};

/// Tries every order of events of the exactly-once protocol.
#[derive(Debug, Parser)]
struct Arguments {
    /// Readings that are published, at most 7.
    #[arg(long, default_value_t = 4)]
    readings: u8,
    /// Partitions.
    #[arg(long, default_value_t = 1)]
    partitions: usize,
    /// Faults in all.
    #[arg(long, default_value_t = 2)]
    faults: u8,
    /// Redis loses what it acknowledged.
    #[arg(long)]
    lossy: bool,
    /// Breaks a rule, by its name.
    #[arg(long)]
    without: Option<String>,
    /// Ends the exploration after so many states.
    #[arg(long, default_value_t = 50_000_000)]
    most_states: usize,
}

fn main() -> ExitCode {
    let Arguments { readings, partitions, faults, lossy, without, most_states } = Arguments::parse();
    let setting = if lossy { Setting::lossy } else { Setting::new };
    let mut setting = setting(readings.min(7), partitions.max(1), faults);
    if let Some(name) = without {
        let Some(rule) = Rule::ALL.into_iter().find(|rule| format!("{rule:?}") == name) else {
            eprintln!("there is no rule {name}; there are {:?}", Rule::ALL);
            return ExitCode::FAILURE;
        };
        setting = setting.breaking(rule);
    }
    let started = Instant::now();
    let report = explore(&setting, most_states);
    println!("{report}, {:.1} s", started.elapsed().as_secs_f64());
    match report.counterexample {
        None => ExitCode::SUCCESS,
        Some(counterexample) => {
            println!("{counterexample}");
            ExitCode::FAILURE
        }
    }
}
