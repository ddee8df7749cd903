//! The command line of `thicket config`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Args;

/// The arguments of `thicket config`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Show only values that are set: by the file, a variable or a flag, also to the default.
    #[arg(long)]
    pub(super) changed: bool,
    /// Print the shipped defaults with their comments instead, as the start of a configuration file.
    #[arg(long, conflicts_with_all = ["changed", "json"])]
    pub(crate) defaults: bool,
    /// Print JSON instead of TOML: each key with its value and origin.
    #[arg(long)]
    pub(super) json: bool,
}
