//! The name of a node. It is unique per process. A process on the same host can find out whether
//! the process of a name still runs.

use std::fmt;
use std::sync::Arc;

use procfs::process;

/// Format: `<name>/<boot id>-<pid namespace>/<pid>/<start time in clock ticks since the boot>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    text: Arc<str>,
}

/// A process, as the kernel identifies it.
#[derive(Debug, PartialEq, Eq)]
struct Process<'a> {
    /// The boot id of the host, and its namespace of process ids.
    host: &'a str,
    pid: u32,
    started: u64,
}

impl NodeName {
    /// Returns the name of this process. `name` is the part for people to read.
    pub fn of_this_process(name: &str) -> Self {
        let (pid, name) = (std::process::id(), name.replace('/', "-"));
        // Without /proc, the clock makes the name unique, and no other node considers this process
        // dead.
        let started =
            start_time(pid).unwrap_or_else(|| chrono::Utc::now().timestamp_micros().cast_unsigned());
        Self { text: format!("{name}/{}/{pid}/{started}", host().unwrap_or_default()).into() }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether another name belongs to a process of this host that has ended.
    pub fn is_dead_local_process(&self, other: &str) -> bool {
        let (Some(own), Some(other)) = (parse(&self.text), parse(other)) else { return false };
        let is_here = !own.host.is_empty() && own.host == other.host && own != other;
        is_here && start_time(other.pid) != Some(other.started)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(name: &str) -> Option<Process<'_>> {
    let mut parts = name.rsplitn(4, '/');
    let (started, pid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Process { host: parts.next()?, pid, started })
}

/// Returns the boot id of this host, and the namespace of process ids of this process.
fn host() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let digits: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{digits}", boot.trim().get(..8)?))
}

/// Returns the start time of a process, in clock ticks since the boot, or `None` if there is no
/// such process or it is a zombie.
fn start_time(pid: u32) -> Option<u64> {
    let stat = process::Process::new(pid.cast_signed()).ok()?.stat().ok()?;
    let has_ended = matches!(stat.state, 'Z' | 'X');
    (!has_ended).then_some(stat.starttime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_dead_and_a_running_one_is_not() {
        let own = NodeName::of_this_process("here/now");
        assert_eq!(own.as_str().split('/').count(), 4);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = format!("other/{}/{}/{}", host().unwrap(), child.id(), start_time(child.id()).unwrap());
        assert!(!own.is_dead_local_process(&name), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(own.is_dead_local_process(&name), "it is dead");
        assert!(!own.is_dead_local_process(own.as_str()));
    }

    #[test]
    fn a_name_of_another_machine_or_format_is_never_dead() {
        let own = NodeName::of_this_process("here");
        for other in ["there/0badc0de-1/1/1", "node", "a/b/c", "", "here//1/2"] {
            assert!(!own.is_dead_local_process(other), "{other}");
        }
    }
}
