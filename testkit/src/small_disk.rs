//! A file system of its own that a test can fill. It is in memory, and needs the rights to mount.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::statvfs;

use crate::system::run;

/// The size of a disk that is not full, far more than the servers of a test need.
const SIZE: &str = "1g";

/// How often the size is taken and set, until nothing is written meanwhile.
const TRIES: u32 = 1_000;

/// A disk. It is unmounted when dropped, with everything in it.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty disk on a directory, which is created if it is missing.
    ///
    /// # Errors
    /// Fails without the rights to mount.
    pub fn mount(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        let options = format!("size={SIZE},mode=0755");
        let target = path.to_string_lossy();
        run("mount", &["-t", "tmpfs", "-o", &options, "thicket-test", &target])?;
        Ok(Self { path: path.to_owned() })
    }

    /// Returns why a disk cannot be mounted here; `None` if it can.
    pub fn obstacle() -> Option<String> {
        let probe = tempfile::tempdir().context("no directory");
        let mounted = probe.and_then(|directory| {
            // It must be unmounted before its directory is deleted.
            Self::mount(directory.path()).map(drop)
        });
        mounted.err().map(|error| format!("{error:#}"))
    }

    /// Makes the disk as small as what it holds: the next new block does not fit.
    pub fn fill(&self) -> anyhow::Result<()> {
        let shrink = || self.resize(&self.used()?.to_string());
        // The servers may write between the two steps.
        (1..TRIES).find_map(|_| shrink().ok()).map_or_else(shrink, Ok)
    }

    /// Gives the disk its first size again.
    pub fn free(&self) -> anyhow::Result<()> {
        self.resize(SIZE)
    }

    fn resize(&self, size: &str) -> anyhow::Result<()> {
        run("mount", &["-o", &format!("remount,size={size}"), &self.path.to_string_lossy()]).map(drop)
    }

    fn used(&self) -> anyhow::Result<u64> {
        let state = statvfs(&self.path)?;
        let used = (state.f_blocks - state.f_bfree) * state.f_frsize;
        if used == 0 {
            bail!("{} is empty", self.path.display());
        }
        Ok(used)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a killed server still has files open.
        drop(run("umount", &["--lazy", &self.path.to_string_lossy()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_no_block_until_it_is_free_again() {
        if let Some(obstacle) = SmallDisk::obstacle() {
            crate::skipped("a full disk", &obstacle);
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::mount(directory.path()).unwrap();
        let write = |name: &str| std::fs::write(directory.path().join(name), vec![7; 100_000]);
        write("a").unwrap();
        disk.fill().unwrap();
        assert_eq!(write("b").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        disk.free().unwrap();
        write("b").unwrap();
    }
}
