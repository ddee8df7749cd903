//! The command line of `thicket anomalies`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use thicket_detector::Label;
use thicket_schema::Timestamp;

use crate::output::Format;
use crate::time_arg;

/// What to do with anomalies.
#[derive(Debug, Subcommand)]
pub(crate) enum AnomaliesCommand {
    /// Lists anomalies, the newest first, with the highest grade of each, its causes and its label.
    List {
        /// Only anomalies of sensors that match, such as 'site-1/*' (* any text, ? any character).
        #[arg(long, value_name = "PATTERN")]
        sensor: Option<String>,
        /// Only anomalies that started at this time or later: RFC 3339, or a duration before now,
        /// such as 2h or 7d.
        #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
        since: Option<Timestamp>,
        /// Only anomalies without a label.
        #[arg(long)]
        unlabelled: bool,
        /// Maximum number of results.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Labels an anomaly as real or not. The newest label counts; `thicket backtest` measures
    /// configurations by it.
    #[command(after_help = LABEL_EXAMPLES)]
    Label {
        /// The sensor's name.
        sensor: String,
        /// When the anomaly started, in RFC 3339, as `thicket anomalies list` shows it.
        #[arg(value_parser = time_arg::parse_exact)]
        started: Timestamp,
        /// true: a real anomaly. false: a false alarm. maintenance: planned work.
        #[arg(required_unless_present = "clear", value_parser = label_parser())]
        label: Option<Label>,
        /// Remove the label.
        #[arg(long, conflicts_with_all = ["label", "note"])]
        clear: bool,
        /// A short remark.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
        /// Author of the label.
        #[arg(long, value_name = "NAME", env = "USER", default_value = "", hide_default_value = true)]
        author: String,
        #[command(flatten)]
        format: Format,
    },
}

const LABEL_EXAMPLES: &str = "Examples:
  thicket anomalies label site-1/mic-7 2026-11-22T10:00:00Z false --note 'a street festival'
  thicket anomalies label site-1/mic-7 2026-11-22T10:00:00Z --clear";

const LABELS: [Label; 3] = [Label::True, Label::False, Label::Maintenance];

fn label_parser() -> impl TypedValueParser<Value = Label> {
    PossibleValuesParser::new(LABELS.map(Label::name))
        .try_map(|name| Label::from_name(&name).ok_or_else(|| format!("no such label: {name}")))
}
