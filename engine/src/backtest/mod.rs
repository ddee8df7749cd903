//! `thicket backtest`: scores stored readings with another configuration of the detectors, and
//! compares the alarms.
//!
//! - `plan`: the sensors, and how many readings they have. `source`, `csv`: their readings, page by
//!   page.
//! - `scorer`: one detector and its readings. `runner`: the threads that score sensors. `progress`:
//!   their progress.
//! - `alarm`, `compare`: the comparison of alarms. `report`, `print`: the result. `scores_csv`: the
//!   scores.

mod alarm;
pub(crate) mod args;
mod compare;
mod csv;
mod plan;
mod print;
mod progress;
mod report;
mod runner;
mod scorer;
mod scores_csv;
mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::Utc;
use thicket_schema::Timestamp;

use crate::config::{self, Config, Overrides};
use crate::stores;
use crate::usage::WrongUsage;
use args::BacktestArgs;
use plan::Range;
use report::Report;
use runner::Backtest;
use scores_csv::ScoresFile;

/// Runs `thicket backtest`.
pub(crate) async fn backtest(config: &Config, args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let new = config::load(Some(&args.with), &Overrides::new()).context("--with")?.config;
    // The readings of files can be later than now.
    let end = if args.csv.is_empty() { Timestamp::from(Utc::now()) } else { Timestamp(i64::MAX - 1) };
    let range = Range {
        from: args.from,
        to: args.to.unwrap_or(end),
        warm_up_readings: args.warm_up_readings,
        with_late: !args.without_late,
    };
    if range.start() > range.to {
        let problem = if args.to.is_some() { "--from is after --to" } else { "--from is in the future" };
        return Err(WrongUsage(problem.to_owned()).into());
    }
    let mut jobs = if args.csv.is_empty() {
        let mut postgres = stores::postgres(config).await?;
        plan::of_table(&mut postgres, &args.sensors, &range).await?
    } else {
        plan::of_files(&args.csv)?
    };
    // The sensors with the most readings first, so that no thread is left with one of them at the
    // end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.readings));
    let inputs: Vec<&Path> = args.csv.iter().chain([&args.with]).map(PathBuf::as_path).collect();
    let backtest = Backtest {
        jobs,
        configs: new.detector_configs()?,
        range,
        postgres: config.postgres.server(),
        out: args.out.as_deref().map(|out| ScoresFile::create(out, &inputs)).transpose()?,
    };
    let threads = args
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let report = Report::new(&runner::run(backtest, threads).await?, args.examples);
    args.format.print(&report, print::print)?;
    Ok(ExitCode::SUCCESS)
}
