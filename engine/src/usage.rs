//! Mistakes on the command line that are found after it was read.

/// A mistake on the command line. It ends the command with the exit code of wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);
