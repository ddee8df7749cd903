//! A limit on the memory of processes, as a container or a unit of systemd has one: a cgroup. Needs
//! the rights of root.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::timing::POLL_INTERVAL;

/// Where the two versions of cgroups are mounted.
const VERSION_2: &str = "/sys/fs/cgroup";
const VERSION_1: &str = "/sys/fs/cgroup/memory";
/// How often the removal of a group is tried: a killed process leaves it a moment later.
const TRIES: u32 = 100;

static GROUPS: AtomicU16 = AtomicU16::new(0);

/// A group of processes with a limit on their memory. It disappears when dropped, after its
/// processes.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
    files: &'static Files,
}

/// The names of the files of a version.
#[derive(Debug)]
struct Files {
    limit: &'static str,
    /// The limit on swapped memory too, and whether it counts the memory that is not swapped.
    swap: (&'static str, bool),
    events: &'static str,
    peak: &'static str,
}

const FILES_2: Files = Files {
    limit: "memory.max",
    swap: ("memory.swap.max", false),
    events: "memory.events",
    peak: "memory.peak",
};
const FILES_1: Files = Files {
    limit: "memory.limit_in_bytes",
    swap: ("memory.memsw.limit_in_bytes", true),
    events: "memory.oom_control",
    peak: "memory.max_usage_in_bytes",
};

impl MemoryGroup {
    /// Creates a group without processes that may use this many bytes.
    ///
    /// # Errors
    /// Fails without the rights of root, or if the memory controller is not available.
    pub fn create(limit: u64) -> anyhow::Result<Self> {
        let is_2 = Path::new(VERSION_2).join("cgroup.controllers").exists();
        let (mount, files) = if is_2 { (VERSION_2, &FILES_2) } else { (VERSION_1, &FILES_1) };
        if is_2 {
            // Fails if the processes of a container are in the topmost group that it sees.
            let control = Path::new(mount).join("cgroup.subtree_control");
            std::fs::write(&control, "+memory").with_context(|| format!("{}", control.display()))?;
        }
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(mount).join(format!("thicket-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("{}", path.display()))?;
        let group = Self { path, files };
        let write = |file: &str, bytes: u64| {
            let path = group.path.join(file);
            std::fs::write(&path, bytes.to_string()).with_context(|| format!("{}", path.display()))
        };
        write(files.limit, limit)?;
        // A kernel without accounting of swap has no such file.
        let (swap, is_sum) = files.swap;
        if group.path.join(swap).exists() {
            write(swap, if is_sum { limit } else { 0 })?;
        }
        Ok(group)
    }

    /// Returns why a group cannot be created here; `None` if it can.
    pub fn obstacle() -> Option<String> {
        Self::create(1 << 30).err().map(|error| format!("{error:#}"))
    }

    /// Writes a program to `path` that starts another one in this group, with the same arguments.
    pub fn wrap(&self, program: &str, path: &Path) -> anyhow::Result<()> {
        let processes = self.path.join("cgroup.procs");
        let script = format!("#!/bin/sh\necho $$ > '{}'\nexec '{program}' \"$@\"\n", processes.display());
        std::fs::write(path, script)?;
        Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
    }

    /// Returns how many processes of the group the kernel has killed because the memory was used up.
    pub fn kills(&self) -> anyhow::Result<u64> {
        let events = std::fs::read_to_string(self.path.join(self.files.events))?;
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(kills.context("the kernel does not count kills")?.trim().parse()?)
    }

    /// Returns the most memory that the group has used at a moment, in bytes, file caches included;
    /// `None` if the kernel does not tell.
    pub fn peak(&self) -> Option<u64> {
        std::fs::read_to_string(self.path.join(self.files.peak)).ok()?.trim().parse().ok()
    }

    fn remove(&self) -> anyhow::Result<()> {
        let removed = (1..TRIES).find_map(|_| {
            let removed = std::fs::remove_dir(&self.path);
            if removed.is_err() {
                wait(POLL_INTERVAL);
            }
            removed.ok()
        });
        ensure!(removed.is_some(), "{} still has processes", self.path.display());
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of a test waits for the kernel")]
fn wait(duration: Duration) {
    std::thread::sleep(duration);
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A group that stays is empty, and costs nothing.
        drop(self.remove());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_beyond_the_limit_is_killed_and_counted() {
        const LIMIT: u64 = 50_000_000;
        if let Some(obstacle) = MemoryGroup::obstacle() {
            crate::skipped("a process beyond the limit of memory", &obstacle);
            return;
        }
        let group = MemoryGroup::create(LIMIT).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("tail");
        group.wrap("tail", &program).unwrap();
        // `tail` keeps the last bytes in memory.
        let tail = |bytes: u64| {
            let command = format!("head -c {bytes} /dev/zero | '{}' -c {bytes} | wc -c", program.display());
            crate::system::run("sh", &["-c", &command]).unwrap()
        };
        assert_eq!(tail(1_000_000), "1000000");
        assert_eq!(group.kills().unwrap(), 0);
        tail(4 * LIMIT);
        assert_eq!(group.kills().unwrap(), 1);
        assert!(group.peak().is_none_or(|peak| peak <= LIMIT));
    }
}
