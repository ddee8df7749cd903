//! This user's private directory in the system's temporary directory, for what several processes share: locks on ports
//! and templates of database clusters.

use std::{
    env,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::PathBuf,
};

use crate::error::{Context, Error};

/// Makes sure that the subdirectory `name` of the private directory exists. An error when somebody else has put
/// something in its place: others must not be able to plant what this user starts.
pub(crate) fn directory(name: &str) -> Result<PathBuf, Error> {
    let user = rustix::process::geteuid().as_raw();
    let top = env::temp_dir().join(format!("thicket-{user}"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&top)
        .during(|| format!("create {}", top.display()))?;
    let facts = fs::symlink_metadata(&top).during(|| format!("look at {}", top.display()))?;
    if !(facts.is_dir() && facts.uid() == user && facts.mode() & 0o777 == 0o700) {
        let source =
            io::Error::other("it exists, but is not a directory that is this user's alone (mode 700)");
        return Err(Error::Io { action: format!("use {}", top.display()), source });
    }
    let directory = top.join(name);
    fs::create_dir_all(&directory).during(|| format!("create {}", directory.display()))?;
    Ok(directory)
}
