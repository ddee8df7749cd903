//! The command line of `thicket reconcile`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Args;
use thicket_schema::Timestamp;

use crate::output::Format;
use crate::time_arg;

/// The arguments of `thicket reconcile`.
#[derive(Clone, Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ReconcileArgs {
    /// Read only readings of this time or later: RFC 3339, or a duration before now, such as 2h or
    /// 7d. Rows are then not compared with the ledger, which has no times.
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    pub(super) since: Option<Timestamp>,
    #[command(flatten)]
    pub(super) format: Format,
}

/// The long help of `thicket reconcile`.
pub(crate) const ABOUT: &str = "Proves the ledger against the stores: every delivered reading and dead letter is stored where the ledger says.

Compares, for each partition, the number of rows of each kind and of dead letters with the ledger, and the committed position with \
the end of the log. Checks, for each sensor, that the numbers of its scored readings have no gap, and that its checkpoint is not ahead \
of its rows. Exits 1 if a check fails.";

const MORE: &str = "Examples:
  thicket reconcile
  thicket reconcile --since 7d --json

PostgreSQL is read as of one moment, and Redis after it, so that a running engine causes no false alarm. Every row is read \
once, day by day, by one query at a time: about twenty million rows a minute. postgres.retention drops no day meanwhile.";
