//! `thicket backtest`: what another configuration of the detectors would have found.
//!
//! - `plan`: which sensors, and how much past they have. `source`, `csv`: their readings, a page at a time.
//! - `scorer`: a detector on its way through them. `cpu`: what it costs. `work`: one on each core, `progress`: how far they are.
//! - `alarm`, `compare`: which alarms are the same, and which are right. `report`, `print`: the sums. `out`: the scores.

mod alarm;
mod compare;
mod cpu;
mod csv;
mod out;
mod plan;
mod print;
mod progress;
mod report;
mod scorer;
mod source;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::Args;
use thicket_actors::writer::connect_postgres;
use thicket_schema::Timestamp;

use crate::config::{self, Config, Overrides};
use crate::output::Format;
use crate::time_arg;
use out::ScoresFile;
use plan::Range;
use report::Report;
use work::Work;

/// What to score, and with what.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BacktestArgs {
    /// The configuration to try: a file with [detector] and [[detectors]], read as `thicket run` would read it.
    #[arg(long, value_name = "NEW.toml")]
    with: PathBuf,
    /// Only sensors that match, such as 'site-1/*' (* any text, ? any character).
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    sensors: String,
    /// Report from then on: RFC 3339, or how long ago, such as 7d [default: all that is stored].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    from: Option<Timestamp>,
    /// Report up to then [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    to: Option<Timestamp>,
    /// At most so many stored readings before --from warm each detector up. They are scored, but not reported.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    warm_up_readings: u64,
    /// Score these files instead of what is stored: the first column is the time (RFC 3339), every other a field; the file's name is
    /// the sensor's. All that comes before --from warms up. PostgreSQL is not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "sensors")]
    csv: Vec<PathBuf>,
    /// Write the new scores to a CSV file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Examples of alarms gained and of alarms lost, each with its causes.
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
    /// Sensors that are scored at the same time [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    format: Format,
}

const EXAMPLES: &str = "Every sensor's stored readings are scored once more, in their order, by a detector with the new configuration. Its alarms are
compared with those that are stored: two are the same if they overlap. Where people have labelled anomalies (`thicket anomalies
label`), precision and recall of both are shown: `true` is real; `false` and `maintenance` are not. Nothing that is stored changes.

Examples:
  thicket backtest --with new.toml --sensors 'site-1/*' --from 7d
  thicket backtest --with new.toml --csv mic-7.csv mic-8.csv --out scores.csv";

/// Runs `thicket backtest`.
pub(crate) async fn backtest(config: &Config, args: BacktestArgs) -> anyhow::Result<ExitCode> {
    let new = config::load(Some(&args.with), &Overrides::new()).context("--with")?;
    // Files may well reach into the future.
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
    // The longest first, so that no thread is left alone with one at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.readings));
    let work = Work {
        jobs,
        configs: new.detector_configs()?,
        range,
        postgres: config.postgres.url.clone(),
        out: args.out.as_deref().map(ScoresFile::create).transpose()?,
    };
    let threads = args
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let report = Report::new(&work::run(work, threads).await?, args.examples);
    if args.format.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print::print(&report);
    }
    Ok(ExitCode::SUCCESS)
}
