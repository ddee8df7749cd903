//! What keeps a case from running on this machine: mounts and network namespaces need rights.

use std::sync::OnceLock;

use thicket_testkit::{RemoteHost, SmallDisk};

use crate::case::{Case, Setting};

/// Returns why a case cannot run here; `None` if it can.
pub(crate) fn obstacle(case: &Case) -> Option<&'static str> {
    static DISKS: OnceLock<Option<String>> = OnceLock::new();
    static HOSTS: OnceLock<Option<String>> = OnceLock::new();
    let found = match case.setting {
        Setting::Plain | Setting::WrongClock => return None,
        Setting::SmallDisks { .. } => DISKS.get_or_init(SmallDisk::obstacle),
        Setting::Remote(_) => HOSTS.get_or_init(RemoteHost::obstacle),
    };
    found.as_deref()
}
