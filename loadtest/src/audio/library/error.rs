//! Why a folder cannot serve as a data set.

use std::{io, path::PathBuf};

/// Why a folder cannot serve as a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The folder has no `metadata/UrbanSound8K.csv`.
    #[error(
        "{} holds no metadata/UrbanSound8K.csv; give the folder of UrbanSound8K, or write a synthetic one: \
         thicket-loadtest synth --out {}", path.display(), path.display()
    )]
    NotADataSet {
        /// The folder.
        path: PathBuf,
    },
    /// The table of the clips cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The table of the clips is not valid.
    #[error("{} line {line}: {detail}", path.display())]
    BadTable {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// A scenario needs ambient clips and event clips, and one kind is missing.
    #[error(
        "{} has no usable clip of any {kind} class ({skipped} files were skipped{example}); is audio/fold1..fold10 complete?",
        path.display()
    )]
    NothingUsable {
        /// The folder.
        path: PathBuf,
        /// `ambient` or `event`.
        kind: &'static str,
        /// Number of files that were skipped.
        skipped: usize,
        /// The first skipped file, with the reason.
        example: String,
    },
    /// The frame length is out of range.
    #[error("a frame of {0} s is not supported; choose 0.05 to 4 (the clips are no longer)")]
    BadFrame(f64),
}
