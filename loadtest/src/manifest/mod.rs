//! What was published, kept so that it can be compared with what was stored: every message that the broker confirmed, with
//! the exact bits of its values.
//!
//! - `format`: the records and their bytes
//! - [`writer`]: appends records; what is on disk is always a readable prefix
//! - [`reader`]: reads them back, up to where a killed writer left off
//! - [`labels`]: the injected events, as JSON lines in a file beside the ledger
//!
//! A ledger is written by one replay and never overwritten; `verify` takes several.

mod format;
pub mod labels;
pub mod reader;
pub mod writer;

use std::{io, path::PathBuf};

pub use format::{Disposition, Record, SensorRecord, StoredReading};
pub use labels::Label;
pub use reader::LedgerReader;
pub use writer::LedgerWriter;

/// Why a ledger cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A ledger is never overwritten: it may be the only proof of another run.
    #[error("{} exists already; give another name (verify takes several ledgers) or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk said no.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another file, or a ledger of another version.
    #[error("{} is not a ledger that this program can read (version {})", path.display(), format::VERSION)]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// Bytes were changed after they were written. (A file that merely ends early is no error.)
    #[error("{} is damaged at byte {offset}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged record begins.
        offset: u64,
        /// What is wrong.
        detail: &'static str,
    },
}

#[cfg(test)]
mod tests;
