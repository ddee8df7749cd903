//! Explores larger worlds than the tests have time for:
//! `cargo run -p thicket-model --example explore --release -- --readings 5`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use thicket_model::{Faults, Rule, Setting, explore};

/// Tries every order of events of the exactly-once protocol.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of published readings, at most 7.
    #[arg(long, default_value_t = 4)]
    readings: u8,
    /// Number of partitions.
    #[arg(long, default_value_t = 1)]
    partitions: usize,
    /// Maximum number of faults, of all kinds together.
    #[arg(long, default_value_t = 2)]
    faults: u8,
    /// Redis loses entries that it acknowledged.
    #[arg(long)]
    lossy: bool,
    /// Only faults of this kind, and how many of them: `crashes=2`. Repeat it for several kinds.
    #[arg(long, value_parser = parse_kind)]
    only: Vec<(String, u8)>,
    /// Name of a rule to break.
    #[arg(long)]
    without: Option<String>,
    /// Maximum number of states.
    #[arg(long, default_value_t = 50_000_000)]
    most_states: usize,
}

fn parse_kind(text: &str) -> Result<(String, u8), String> {
    let (name, most) = text.split_once('=').ok_or("write a kind and a number, as in `crashes=2`")?;
    Faults::default().kind(name).ok_or("there is no such kind of fault")?;
    Ok((name.to_owned(), most.parse().map_err(|_| "not a number")?))
}

fn main() -> ExitCode {
    let Arguments { readings, partitions, faults, lossy, only, without, most_states } = Arguments::parse();
    let create = if lossy { Setting::lossy } else { Setting::new };
    let mut setting = create(readings.min(7), partitions.max(1), faults);
    if !only.is_empty() {
        let kinds: Vec<(&str, u8)> = only.iter().map(|(name, most)| (name.as_str(), *most)).collect();
        setting = setting.only(&kinds);
    }
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
        None if report.complete => ExitCode::SUCCESS,
        None => {
            println!("not all states were visited; raise --most-states");
            ExitCode::FAILURE
        }
        Some(counterexample) => {
            println!("{counterexample}");
            ExitCode::FAILURE
        }
    }
}
