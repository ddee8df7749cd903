//! The command line of `thicket explain`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Args;
use thicket_schema::Timestamp;

use crate::output::Format;
use crate::time_arg;

/// The arguments of `thicket explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The sensor's name.
    pub(super) sensor: String,
    /// Explain the newest scored reading at or before this time: RFC 3339, or a duration before
    /// now, such as 2h [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    pub(super) at: Option<Timestamp>,
    #[command(flatten)]
    pub(super) format: Format,
}

const EXAMPLES: &str = "The detector is restored to its state before the reading: from its checkpoint, if the checkpoint is older, and from the stored
rows, which are scored again, each with the configuration that it was scored with. The computed score and grade must equal the
stored ones, bit for bit. If they differ, the command says so and exits 1.

Examples:
  thicket explain site-1/mic-7 --at 2026-11-22T10:00:00Z
  thicket explain site-1/mic-7 --at 10m --json";
