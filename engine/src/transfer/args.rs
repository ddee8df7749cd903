//! The command lines of `thicket export` and `thicket import`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::Args;

/// The description of `thicket export`.
pub(crate) const ABOUT_EXPORT: &str = "Writes a deployment into one file: configuration without addresses and secrets, rows, positions, checkpoints and \
the log, with the digest of the rows. No engine may run. With --data, exports the deployment of thicket up in that \
directory, which must be stopped; otherwise the deployment of the configuration.

Messages that the broker has queued stay in the broker.";

/// The description of `thicket import`.
pub(crate) const ABOUT_IMPORT: &str = "Fills empty servers from a file of thicket export, and compares the digest of the rows. Run thicket migrate first; the \
version of thicket must be that of the export. With --data, creates a new deployment for thicket up; otherwise \
fills the servers of the configuration.

An import that is interrupted can be repeated.";

/// The arguments of `thicket export`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, such as thicket.tar.gz. It must not exist.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Export the deployment of thicket up in this data directory.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

/// The arguments of `thicket import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file of thicket export.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Create a deployment for thicket up in this data directory.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}
