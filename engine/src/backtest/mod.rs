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

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::Args;
use thicket_schema::Timestamp;
use thicket_store::postgres::connect_postgres;

use crate::config::{self, Config, Overrides};
use crate::output::Format;
use crate::time_arg;
use plan::Range;
use report::Report;
use runner::Backtest;
use scores_csv::ScoresFile;

/// The arguments of `thicket backtest`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BacktestArgs {
    /// The configuration to try: a file with [detector] and [[detectors]], read as `thicket run`
    /// would read it.
    #[arg(long, value_name = "NEW.toml")]
    with: PathBuf,
    /// Only sensors whose name matches, such as 'site-1/*' (* any text, ? any character).
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    sensors: String,
    /// Report readings of this time or later: RFC 3339, or a duration before now, such as 7d
    /// [default: all stored readings].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    from: Option<Timestamp>,
    /// Report readings up to this time [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    to: Option<Timestamp>,
    /// The maximum number of stored readings before --from that warm each detector up. They are
    /// scored, but not reported.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    warm_up_readings: u64,
    /// Score these files instead of the stored readings: the first column is the time (RFC 3339),
    /// every other column a field; the name of the file is that of the sensor. All readings before
    /// --from warm the detector up. PostgreSQL is not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "sensors")]
    csv: Vec<PathBuf>,
    /// Write the new scores to this CSV file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The maximum number of examples of gained and of lost alarms, each with its causes.
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
    /// The number of sensors that are scored at the same time [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    format: Format,
}

const EXAMPLES: &str = "The stored readings of every sensor are scored again, in order, by a detector with the new configuration. Its alarms are
compared with the stored alarms: two alarms are the same if they overlap. If anomalies have labels (`thicket anomalies label`),
precision and recall of both configurations are shown: `true` means real; `false` and `maintenance` mean not real. The stored
rows do not change.

Examples:
  thicket backtest --with new.toml --sensors 'site-1/*' --from 7d
  thicket backtest --with new.toml --csv mic-7.csv mic-8.csv --out scores.csv";

/// Runs `thicket backtest`.
pub(crate) async fn backtest(config: &Config, args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let new = config::load(Some(&args.with), &Overrides::new()).context("--with")?;
    // The readings of files can be later than now.
    let end = if args.csv.is_empty() { Timestamp::from(Utc::now()) } else { Timestamp(i64::MAX - 1) };
    let range =
        Range { from: args.from, to: args.to.unwrap_or(end), warm_up_readings: args.warm_up_readings };
    if range.start() > range.to {
        bail!("--from is after --to");
    }
    let mut jobs = if args.csv.is_empty() {
        let mut postgres = connect_postgres(&config.postgres.url)
            .await
            .context("postgresql does not answer: start it or set postgres.url")?;
        plan::of_table(&mut postgres, &args.sensors, &range).await?
    } else {
        plan::of_files(&args.csv)?
    };
    // The sensors with the most readings first, so that no thread is left with one of them at the
    // end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.readings));
    let backtest = Backtest {
        jobs,
        configs: new.detector_configs()?,
        range,
        postgres: config.postgres.url.clone(),
        out: args.out.as_deref().map(ScoresFile::create).transpose()?,
    };
    let threads = args
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let report = Report::new(&runner::run(backtest, threads).await?, args.examples);
    if args.format.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print::print(&report);
    }
    Ok(ExitCode::SUCCESS)
}
