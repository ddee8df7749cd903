//! The program `rrcf-bench`; see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match rrcf_bench::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
