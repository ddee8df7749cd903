//! The faults that crash tests ask for in the environment. Only with the feature `faults`.
//!
//! - `THICKET_FAULTS`: a list such as `append.after@17,commit.lost@3,poison`. `append.after@17`:
//!   the process kills itself when it passes this fail point for the 17th time. `commit.lost@3`:
//!   the third commit loses its reply. `poison`: poison readings take effect. `later-algorithm`:
//!   the build has a later version of the detection algorithm. `later-format`: the build reads
//!   entries of a later format.
//! - `THICKET_BREAK`: rules to break, such as `rule.epoch_is_checked`.
//! - `THICKET_FIRED`: a file. When a fail point fires, its name is appended to the file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use thicket_store::faults::{FAIL_POINTS, LOST_REPLIES, NOTIFICATION_POINTS, RULES};

use crate::terminal::errln;

/// Sets the faults of the environment.
pub(crate) fn set() -> anyhow::Result<()> {
    let fired = std::env::var_os("THICKET_FIRED").map(PathBuf::from);
    for fault in listed("THICKET_FAULTS") {
        if ["poison", "later-algorithm", "later-format"].contains(&fault.as_str()) {
            configure(&fault, "return")?;
            continue;
        }
        let (place, count) = fault.split_once('@').context("THICKET_FAULTS: place@count")?;
        let count: u64 = count.parse().context("THICKET_FAULTS: place@count")?;
        let place = FAIL_POINTS
            .iter()
            .chain(&NOTIFICATION_POINTS)
            .find(|known| **known == place)
            .context("THICKET_FAULTS: no such fail point")?;
        if LOST_REPLIES.contains(place) {
            configure(place, &format!("{}*off->1*return->off", count - 1))?;
        } else {
            kill_at(place, count, fired.clone())?;
        }
    }
    for rule in listed("THICKET_BREAK") {
        anyhow::ensure!(RULES.contains(&rule.as_str()), "THICKET_BREAK: no such rule: {rule}");
        configure(&rule, "return")?;
    }
    Ok(())
}

fn listed(variable: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_default();
    text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn configure(place: &str, actions: &str) -> anyhow::Result<()> {
    fail::cfg(place, actions).map_err(anyhow::Error::msg)
}

fn kill_at(place: &'static str, count: u64, fired: Option<PathBuf>) -> anyhow::Result<()> {
    let passed = AtomicU64::new(0);
    let pass = move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 != count {
            return;
        }
        if let Some(file) = &fired {
            note(file, place);
        }
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    };
    fail::cfg_callback(place, pass).map_err(anyhow::Error::msg)
}

fn note(file: &PathBuf, place: &str) {
    let written = std::fs::OpenOptions::new().create(true).append(true).open(file);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "{place}")) {
        errln!("thicket: THICKET_FIRED: {error}");
    }
}
