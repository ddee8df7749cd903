//! This user's private directory in the system's temporary directory. Several processes share it
//! for locks on ports and for templates of database clusters.

use std::{
    env,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::PathBuf,
};

use crate::error::{Context, Error};

/// Creates the subdirectory `name` of the private directory, if it is missing. Fails if another
/// user owns the private directory or may write to it: this user starts programs with its content.
pub(crate) fn directory(name: &str) -> Result<PathBuf, Error> {
    let user = rustix::process::geteuid().as_raw();
    let top = env::temp_dir().join(format!("thicket-{user}"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&top)
        .during(|| format!("create {}", top.display()))?;
    let metadata =
        fs::symlink_metadata(&top).during(|| format!("read the permissions of {}", top.display()))?;
    if !(metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o777 == 0o700) {
        let source =
            io::Error::other("it exists, but is not a private directory of this user (mode 700); remove it");
        return Err(Error::Io { action: format!("use {}", top.display()), source });
    }
    let directory = top.join(name);
    fs::create_dir_all(&directory).during(|| format!("create {}", directory.display()))?;
    Ok(directory)
}
