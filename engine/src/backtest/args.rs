//! The command line of `thicket backtest`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::Args;
use thicket_schema::Timestamp;

use crate::output::Format;
use crate::time_arg;

/// The arguments of `thicket backtest`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BacktestArgs {
    /// The configuration to try: a file with [detector] and [[detectors]], read as `thicket run`
    /// would read it.
    #[arg(long, value_name = "NEW.toml")]
    pub(super) with: PathBuf,
    /// Only sensors whose name matches, such as 'site-1/*' (* any text, ? any character).
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    pub(super) sensors: String,
    /// Report readings of this time or later: RFC 3339, or a duration before now, such as 7d
    /// [default: all stored readings].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    pub(super) from: Option<Timestamp>,
    /// Report readings up to this time [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    pub(super) to: Option<Timestamp>,
    /// The maximum number of stored readings before --from that warm each detector up. They are
    /// scored, but not reported.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(super) warm_up_readings: u64,
    /// Leave out late readings, which the engine stored without a score. By default they are scored
    /// too, in the order of their time, and alarms that begin with one are marked.
    #[arg(long, conflicts_with = "csv")]
    pub(super) without_late: bool,
    /// Score these files instead of the stored readings: the first line names the columns, separated
    /// by commas, of which the first is the time (as in messages, in UTC if it has no offset), every
    /// other one a field; the file is named after the sensor, and has the oldest reading first. All
    /// readings before --from warm the detector up. PostgreSQL is not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "sensors")]
    pub(super) csv: Vec<PathBuf>,
    /// Write the new scores to this CSV file, once all readings are scored.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// The maximum number of examples of gained and of lost alarms, each with its causes.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) examples: usize,
    /// The number of sensors that are scored at the same time [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) format: Format,
}

const EXAMPLES: &str = "The stored readings of every sensor are scored again, in the order of their time, by a detector with the new configuration. Its alarms are
compared with the stored alarms: two alarms are the same if they overlap. If anomalies have labels (`thicket anomalies label`),
precision and recall of both configurations are shown: `true` means real; `false` and `maintenance` mean not real. The stored
rows do not change. A backlog that arrived after newer readings is stored without a score: here its readings have their place.

Examples:
  thicket backtest --with new.toml --sensors 'site-1/*' --from 7d
  thicket backtest --with new.toml --csv mic-7.csv mic-8.csv --out scores.csv";
