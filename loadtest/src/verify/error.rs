//! Why nothing could be compared.

use thicket_store::postgres::SnapshotError;

use crate::manifest::ManifestError;

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// PostgreSQL cannot be read.
    #[error(transparent)]
    Database(#[from] SnapshotError),
}
