//! The command line of `thicket quarantine`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Subcommand;

use crate::output::Format;

/// What to do with quarantined readings.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Lists readings that are skipped because they crash the engine or PostgreSQL rejects them,
    /// the newest first.
    List {
        /// Maximum number of results.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
}
