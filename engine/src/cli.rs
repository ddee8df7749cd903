//! The command line.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use thicket_detector::Label;
use thicket_schema::Timestamp;

use crate::anomalies::{label_named, label_names};
use crate::backtest::BacktestArgs;
use crate::config::{LogFormat, Overrides};
use crate::deadletters::DeadletterCommand;
use crate::explain::ExplainArgs;
use crate::reconcile::{self, ReconcileArgs};
use crate::when;

/// Thicket: a forest for every sensor.
///
/// Readings arrive over MQTT, queue in Redis, are scored by one Robust Random Cut Forest per sensor, and land with their
/// anomaly score in PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "thicket", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Configuration file [default: thicket.toml, where there is one].
    #[arg(long, short, global = true, value_name = "FILE", env = "THICKET_CONFIG", help_heading = COMMON)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  all is well
  1  the command failed, or what it checked is not as it should be
  2  the command line or the configuration is wrong
  3  the engine gave up: an actor panicked too often, a thread stood still, or another node took over; start it anew
  4  the engine did not stop within shutdown.deadline; nothing is lost by that";

/// Flags that every command takes stand apart from its own.
const COMMON: &str = "Common options";

/// Flags that win over every other source of the configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = COMMON)]
pub(crate) struct Flags {
    /// Log level or filters, such as info or info,thicket_actors=debug.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log format.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// The broker, as mqtt://host:port.
    #[arg(long, global = true, value_name = "URL")]
    mqtt: Option<String>,
    /// Redis, as redis://host:port.
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// PostgreSQL, as postgres://user@host:port/database.
    #[arg(long, global = true, value_name = "URL")]
    postgres: Option<String>,
}

impl Flags {
    /// The flags that were given, as configuration keys.
    pub(crate) fn overrides(&self) -> Overrides {
        let format = self.log_format.map(|format| match format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let flags = [
            ("log.level", self.log_level.clone()),
            ("log.format", format),
            ("mqtt.url", self.mqtt.clone()),
            ("redis.url", self.redis.clone()),
            ("postgres.url", self.postgres.clone()),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the engine until SIGTERM or Ctrl-C; then drains, saves every detector and exits 0.
    Run,
    /// Validates the configuration and reaches every server, saying which fails and how to mend it.
    Check,
    /// Creates or updates the tables in PostgreSQL. Does nothing where they are up to date.
    Migrate,
    /// Shows partitions, positions, lag and detectors; the ledger, what is on its way, and what was lost.
    Status(Format),
    /// Proves the ledger against the stores: every delivered message is where it should be.
    #[command(long_about = reconcile::ABOUT)]
    Reconcile(ReconcileArgs),
    /// Shows messages and readings that could not be processed, puts them back, or deletes them.
    Deadletter {
        #[command(subcommand)]
        command: DeadletterCommand,
    },
    /// Shows what was found, and takes what people say of it.
    Anomalies {
        #[command(subcommand)]
        command: AnomaliesCommand,
    },
    /// Computes a detection once more and shows how it came about.
    Explain(ExplainArgs),
    /// Scores the past with another configuration and shows what it would have found, missed and cost.
    Backtest(BacktestArgs),
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with anomalies.
#[derive(Debug, Subcommand)]
pub(crate) enum AnomaliesCommand {
    /// Lists anomalies, the newest first, with their causes and what was said of them.
    List {
        /// Only those of sensors that match, such as 'site-1/*' (* any text, ? any character).
        #[arg(long, value_name = "PATTERN")]
        sensor: Option<String>,
        /// Only those that began then or later: RFC 3339, or how long ago, such as 2h or 7d.
        #[arg(long, value_name = "TIME", value_parser = when::parse)]
        since: Option<Timestamp>,
        /// Only those of which nobody has said anything yet.
        #[arg(long)]
        unlabelled: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Says whether an anomaly is one. The newest word counts; `thicket backtest` measures configurations by it.
    #[command(after_help = LABEL_EXAMPLES)]
    Label {
        /// The sensor's name.
        sensor: String,
        /// When the anomaly began, in RFC 3339, as `thicket anomalies list` shows it.
        #[arg(value_parser = when::parse_exact)]
        started: Timestamp,
        /// true: it is one. false: a false alarm. maintenance: planned work.
        #[arg(required_unless_present = "clear", value_parser = label_parser())]
        label: Option<Label>,
        /// Takes back what was said.
        #[arg(long, conflicts_with_all = ["label", "note"])]
        clear: bool,
        /// Why, in a few words.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
        /// Who says so.
        #[arg(long, value_name = "NAME", env = "USER", default_value = "", hide_default_value = true)]
        author: String,
        #[command(flatten)]
        format: Format,
    },
}

const LABEL_EXAMPLES: &str = "Examples:
  thicket anomalies label site-1/mic-7 2026-11-22T10:00:00Z false --note 'a street festival'
  thicket anomalies label site-1/mic-7 2026-11-22T10:00:00Z --clear";

fn label_parser() -> impl clap::builder::TypedValueParser<Value = Label> {
    PossibleValuesParser::new(label_names())
        .try_map(|name| label_named(&name).ok_or_else(|| format!("no such label: {name}")))
}
