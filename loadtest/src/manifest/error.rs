//! Why a manifest cannot be written or read.

use std::{io, path::PathBuf};

use super::format::VERSION;

/// Why a manifest cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file exists. A manifest is never overwritten: it may be the only proof of another run.
    #[error("{} exists already; give another name (verify takes several manifests) or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing the file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is not a manifest, or a manifest of another version.
    #[error("{} is not a manifest that this program can read (version {})", path.display(), VERSION)]
    NotAManifest {
        /// The file.
        path: PathBuf,
    },
    /// Bytes were changed after they were written. (A file that ends early is no error.)
    #[error("{} is damaged at byte {offset}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The offset of the damaged record.
        offset: u64,
        /// What is wrong.
        detail: &'static str,
    },
}
