//! The directory in which the demo keeps the servers' data, the logs and the manifest.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The demo's directory. A temporary one is removed when it is dropped.
pub(super) enum Workspace {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Workspace {
    /// Creates `directory`, which must be empty or missing, or a temporary directory.
    pub(super) fn new(directory: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(directory) = directory {
            let empty = std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
            anyhow::ensure!(empty, "{} is not empty; name a new directory", directory.display());
            DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(directory)
                .with_context(|| format!("{} cannot be created", directory.display()))?;
            return Ok(Self::Kept(directory.to_owned()));
        }
        let directory = tempfile::TempDir::with_prefix("thicket-demo-")?;
        // The servers may run as other users, who must be able to enter the directory.
        let open = PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(directory.path(), open)?;
        Ok(Self::Temporary(directory))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}
