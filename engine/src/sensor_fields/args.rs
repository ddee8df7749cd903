//! The command line of `thicket sensors`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Subcommand;

use crate::output::Format;

/// What to do with sensors.
#[derive(Debug, Subcommand)]
pub(crate) enum SensorsCommand {
    /// Shows a sensor: for each field, whether it is scored, and if it is stored only, the reason.
    Show {
        /// The sensor's name.
        sensor: String,
        #[command(flatten)]
        format: Format,
    },
}
