//! Compares the forest with reference values: `cargo run --release -p rrcf-rs --example reference
//! -- FILE…`.
//!
//! Prints one line per case. Exits with 1 if a case is out of bounds, and with 2 if a file cannot
//! be read.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::ExitCode;

use support::Case;

/// Independent trees per case.
const TREES: usize = 20_000;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: reference FILE…    each file is a reference case, as in tests/reference/");
        return ExitCode::from(2);
    }
    let cases: Result<Vec<_>, _> = files.iter().map(|file| Case::read(Path::new(file))).collect();
    let cases = match cases {
        Ok(cases) => cases,
        Err(message) => {
            eprintln!("cannot read a reference case: {message}");
            return ExitCode::from(2);
        }
    };
    let mut all_agree = true;
    for case in &cases {
        let comparison = case.compare(TREES);
        let agrees = comparison.agrees();
        println!("{}: {comparison}: {}", case.name, if agrees { "agrees" } else { "OUT OF BOUNDS" });
        all_agree &= agrees;
    }
    if all_agree { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
