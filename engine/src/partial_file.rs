//! A file that gets its name once it is whole. Until then it is `FILE.partial`.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

/// The names of a file that is written. Dropping the value removes the file, unless it has its name.
#[derive(Debug)]
pub(crate) struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    is_whole: AtomicBool,
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_whole.load(Ordering::Relaxed) {
            // A file that stays is overwritten by the next command.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

impl PartialFile {
    /// Creates the file for a path. One process at a time writes it.
    pub(crate) fn create(path: &Path, mode: u32) -> anyhow::Result<(Self, File)> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let cannot = || format!("cannot write {}", partial.display());
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(mode).open(&partial);
        let file = file.with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another command writes {}", partial.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        // Another command may have ended just now, and given this file its name.
        if !is_at(&file, &partial).with_context(cannot)? {
            bail!("another command wrote {}", path.display());
        }
        // A command that was killed has left a part.
        file.set_len(0).with_context(cannot)?;
        Ok((Self { path: path.to_owned(), partial, is_whole: AtomicBool::new(false) }, file))
    }

    /// Returns the path of the file while it is written.
    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Returns the path of the whole file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name once it is on disk.
    pub(crate) fn finish(&self, file: &File) -> std::io::Result<()> {
        file.sync_all()?;
        std::fs::rename(&self.partial, &self.path)?;
        self.is_whole.store(true, Ordering::Relaxed);
        // The name itself must be on disk too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Whether a path leads to this open file.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let opened = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
