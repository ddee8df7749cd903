//! The name of a node. No other process has it, and a process of the same machine can tell whether the node
//! still runs.

use std::fmt;
use std::sync::Arc;

/// `name/place/pid/started`: what people call the node; the machine's boot and the process's namespace of process ids; the process
/// there; and when it began, in clock ticks since the boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    text: Arc<str>,
}

/// A process, as the kernel tells it from every other.
#[derive(Debug, PartialEq, Eq)]
struct Process<'a> {
    place: &'a str,
    pid: u32,
    started: u64,
}

impl NodeName {
    /// The name of this process; `name` is what people call it.
    pub fn of_this_process(name: &str) -> Self {
        let (pid, name) = (std::process::id(), name.replace('/', "-"));
        // Where the kernel does not apply_label, the clock makes the name unique, and nobody takes this node for dead.
        let started = started(pid).unwrap_or_else(|| chrono::Utc::now().timestamp_micros().cast_unsigned());
        Self { text: format!("{name}/{}/{pid}/{started}", place().unwrap_or_default()).into() }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the other was a process of this machine and is no more.
    pub(super) fn is_dead_local_process(&self, other: &str) -> bool {
        let (Some(own), Some(other)) = (parse(&self.text), parse(other)) else { return false };
        let is_here = !own.place.is_empty() && own.place == other.place && own != other;
        is_here && started(other.pid) != Some(other.started)
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
    Some(Process { place: parts.next()?, pid, started })
}

/// The machine's boot and this process's namespace of process ids.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let digits: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{digits}", boot.trim().get(..8)?))
}

/// When a process began, in clock ticks since the boot; nothing if there is none, or only what is left of it.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before, in parentheses, may hold spaces. Of what follows, the state is the first and the start the twentieth.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_known_to_be_dead_and_a_living_one_is_not() {
        let own = NodeName::of_this_process("here/now");
        assert_eq!(own.as_str().split('/').count(), 4);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = format!("other/{}/{}/{}", place().unwrap(), child.id(), started(child.id()).unwrap());
        assert!(!own.is_dead_local_process(&name), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(own.is_dead_local_process(&name), "it is dead");
        assert!(!own.is_dead_local_process(own.as_str()));
    }

    #[test]
    fn of_other_machines_and_other_names_nothing_is_known() {
        let own = NodeName::of_this_process("here");
        for other in ["there/0badc0de-1/1/1", "node", "a/b/c", "", "here//1/2"] {
            assert!(!own.is_dead_local_process(other), "{other}");
        }
    }
}
