//! The command line of `thicket-crash`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use crate::hogs::Hogs;
use crate::matrix::{cases, mutations};
use crate::runner::{Plan, run};

/// Kills Thicket at every point, and compares the rows in PostgreSQL with those of an undisturbed
/// run.
///
/// A case publishes some seconds of traffic to an engine on private servers while something goes
/// wrong: the engine kills itself at a fail point (before and after each append, acknowledgement,
/// read, score, insert, commit, checkpoint, trim, quarantine, lease renewal, takeover and restore,
/// between two appends of one flush, and around each step of a notification), a server is killed, a
/// node is frozen for longer than its lease, a disk is full, a network swallows every packet, a
/// clock jumps, memory is used up, a later build takes over. Then an engine without faults
/// continues. At the end readings, anomalies, dead letters and sensors must be, bit for bit, those
/// of an undisturbed engine; no record may be lost, and the ledger must balance. The receivers of
/// notifications must have been told the same, in the order of each sensor, with the same key for
/// each repeat.
///
/// Small disks and hosts of their own need the rights of root; without them, these cases are
/// skipped.
///
/// Mutations are engines that break a rule on purpose. Each must fail a case, or the harness proves
/// nothing.
///
///   thicket-crash --engine target/debug/thicket
///   thicket-crash --engine target/debug/thicket --only kill-commit --only zombie
///   thicket-crash --engine target/debug/thicket --schedules 100 --seed 7 --only schedule
///   thicket-crash --engine target/debug/thicket --schedule 7000017
///   thicket-crash --engine target/debug/thicket --hogs 4 --only kill
///
/// The engine must be built with --features faults. The last line of the output is JSON:
/// {"cases":…,"schedules":…,"failed":…,"skipped":…,"seeds":[…]}. Exit codes: 0 all passed, 1 a case
/// failed, 2 wrong usage or no case is selected.
#[derive(Parser)]
#[command(name = "thicket-crash", version, verbatim_doc_comment)]
struct Arguments {
    /// Path of the engine.
    #[arg(long, value_name = "FILE", default_value = "target/debug/thicket")]
    engine: PathBuf,
    /// Seed of the traffic, of the passes at which fail points fire, and of the schedules.
    #[arg(long, env = "SEED", default_value_t = 1)]
    seed: u64,
    /// Number of random schedules. Their seeds follow from --seed.
    #[arg(long, env = "SCHEDULES", default_value_t = 24)]
    schedules: u64,
    /// Runs only the schedule with this seed, as a failed run printed it. May be repeated.
    #[arg(long, value_name = "SEED")]
    schedule: Vec<u64>,
    /// Runs only cases whose name contains this text, such as "mutation" or "schedule". May be
    /// repeated.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Prints the names of all cases.
    #[arg(long)]
    list: bool,
    /// Number of cases that run at a time, each on servers of its own.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Number of threads that keep a core busy meanwhile: every case must pass on a busy machine
    /// too.
    #[arg(long, env = "HOGS", default_value_t = 0, value_name = "N")]
    hogs: usize,
    /// No case is started after this time. A case that is left out counts as failed, a schedule
    /// does not.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_140)]
    limit: u64,
}

/// The exit code of wrong usage, as clap has it.
const WRONG_USAGE: u8 = 2;

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let outcome =
        runtime.context("no runtime").and_then(|runtime| runtime.block_on(run_arguments(arguments)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_arguments(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { engine, seed, schedules, schedule, only, list, workers, hogs, limit } = arguments;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|text| name.contains(text.as_str()));
    let mut cases = cases(seed);
    cases.retain(|case| wanted(&case.name));
    let mut mutations = mutations(seed);
    mutations.retain(|mutation| wanted(&format!("mutation {}", mutation.rule)));
    let mut seeds: Vec<u64> = (0..schedules).map(|number| seed * 1_000_000 + number).collect();
    seeds.retain(|seed| wanted(&format!("schedule-{seed}")));
    if !schedule.is_empty() {
        (cases, mutations, seeds) = (Vec::new(), Vec::new(), schedule);
    }
    if list {
        let mutations = mutations.iter().map(|mutation| format!("mutation {}", mutation.rule));
        cases.iter().map(|case| case.name.clone()).chain(mutations).for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    if cases.is_empty() && mutations.is_empty() && seeds.is_empty() {
        eprintln!("error: no case is selected; see their names with --list");
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let binary = engine.canonicalize().with_context(|| {
        format!("{}: build it with: cargo build -p thicket --features faults", engine.display())
    })?;
    let directory = tempfile::Builder::new().prefix("thicket-crash-").tempdir()?;
    println!("seed {seed}; files in {}", directory.path().display());
    let _hogs = Hogs::start(hogs);
    let plan = Plan {
        binary,
        seed,
        cases,
        mutations,
        schedules: seeds,
        workers,
        limit: Duration::from_secs(limit),
        directory: directory.path().to_owned(),
    };
    let summary = run(plan).await?;
    if summary.failed > 0 {
        println!("files are kept in {}", directory.keep().display());
    }
    println!("{}", serde_json::to_string(&summary)?);
    Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_without_a_case_is_wrong_usage() {
        let arguments = ["thicket-crash", "--engine", "/no/engine", "--only", "no-such-case"];
        let code = run_arguments(Arguments::parse_from(arguments)).await.unwrap();
        assert_eq!(code, ExitCode::from(WRONG_USAGE));
    }
}
