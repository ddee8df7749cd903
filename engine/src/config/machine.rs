//! The memory that this process may use.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Where cgroups are mounted: version 2, and the memory of version 1.
const CGROUPS: [(&str, &str, &str); 2] =
    [("/sys/fs/cgroup", "0::", "memory.max"), ("/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes")];
/// Memory of a node without detectors, in bytes: measured under load, and rounded up.
pub(crate) const NODE_BYTES: u64 = 150_000_000;
/// The detectors get at least this part of the memory, however small it is.
const LEAST_PART: u64 = 8;
/// What is assumed if the machine does not tell its memory, in bytes.
const UNKNOWN: u64 = 1 << 30;

/// Returns the bytes that this process may use: the memory of the machine, or less if a cgroup
/// limits it.
pub(crate) fn machine_memory() -> u64 {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| total(&text)).unwrap_or(UNKNOWN);
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = CGROUPS
        .iter()
        .filter_map(|&(mount, kind, file)| limit(Path::new(mount), &group_of(&groups, kind)?, file));
    limits.chain([machine]).min().unwrap_or(machine)
}

/// Returns the bytes that the detectors of a process may use by default: half of what the process
/// may use, less if the rest would be too small for the node itself.
pub(crate) fn detector_memory(machine: u64) -> u64 {
    (machine / 2).min(machine.saturating_sub(NODE_BYTES)).max(machine / LEAST_PART)
}

/// Returns the bytes of `MemTotal`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Returns the path of the process's cgroup, relative to the mount.
fn group_of(groups: &str, kind: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.split_once(kind).map(|(_, path)| path))?;
    Some(PathBuf::from(path.trim_start_matches('/')))
}

/// Returns the least limit of a cgroup and those above it.
fn limit(mount: &Path, group: &Path, file: &str) -> Option<u64> {
    let of = |group: &Path| read_to_string(mount.join(group).join(file)).ok()?.trim().parse().ok();
    group.ancestors().filter_map(of).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_the_cgroups_counts() {
        let mount = tempfile::tempdir().unwrap();
        let group = Path::new("system.slice/thicket.service");
        std::fs::create_dir_all(mount.path().join(group)).unwrap();
        let write = |folder: &str, text: &str| {
            std::fs::write(mount.path().join(folder).join("memory.max"), text).unwrap();
        };
        assert_eq!(limit(mount.path(), group, "memory.max"), None);
        write("system.slice/thicket.service", "max\n");
        assert_eq!(limit(mount.path(), group, "memory.max"), None);
        write("system.slice", "2000\n");
        assert_eq!(limit(mount.path(), group, "memory.max"), Some(2_000));
        write("system.slice/thicket.service", "1000\n");
        assert_eq!(limit(mount.path(), group, "memory.max"), Some(1_000));
    }

    #[test]
    fn a_small_memory_has_room_for_the_node() {
        assert_eq!(detector_memory(16_000_000_000), 8_000_000_000);
        assert_eq!(detector_memory(200_000_000), 50_000_000);
        assert_eq!(detector_memory(80_000_000), 10_000_000);
    }

    #[test]
    fn the_files_of_the_kernel_are_read() {
        assert_eq!(total("MemTotal:       16314212 kB\nMemFree: 1 kB\n"), Some(16_314_212 * 1_024));
        let groups = "5:cpu,cpuacct:/a\n4:memory:/docker/x\n0::/system.slice/thicket.service\n";
        assert_eq!(group_of(groups, "0::"), Some("system.slice/thicket.service".into()));
        assert_eq!(group_of(groups, ":memory:"), Some("docker/x".into()));
        assert!(machine_memory() > 100_000_000);
    }
}
