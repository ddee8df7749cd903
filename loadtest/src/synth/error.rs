//! Why a data set could not be written.

use std::{io, path::PathBuf};

/// Why a data set could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The number of clips per class is 0.
    #[error("a data set needs at least one clip per class; raise --clips-per-class")]
    NoClips,
    /// The sampling rate is out of range.
    #[error("a sampling rate of {0} Hz is not supported; choose 8000 to 192000 (22050 is the default)")]
    BadRate(u32),
    /// The folder is not empty and holds no synthetic data set.
    #[error("{} is not empty and holds no synthetic data set; choose another folder or remove it", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a synthetic data set of other options.
    #[error("{} holds another synthetic data set ({found}); choose another folder, remove it, or ask for the same", path.display())]
    Different {
        /// The folder.
        path: PathBuf,
        /// The options of the data set in the folder.
        found: String,
    },
    /// Writing a file or directory failed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Reading the folder failed.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}
