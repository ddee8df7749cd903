//! Memory of a warm forest, and its snapshot.
//!
//! Each kind of forest is measured in a process of its own, because an allocator's use of memory
//! and time depends on its past.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use rrcf_rs::Forest;
use serde::{Deserialize, Serialize};

use crate::contest::{Contestant, Mode, Size, warm};
use crate::peer::PeerForest;
use crate::race::{Laps, cpu_time};
use crate::results::Results;
use crate::sections::{Effort, progress, spread};
use crate::series::{Kind, Series};
use crate::table::{Table, count};
use crate::{ours, peer};

/// The library that a forest belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    Ours,
    Peer,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "rrcf-rs",
            Self::Peer => "krcflib",
        }
    }
}

/// Measures warm forests of one kind, in a process started for this.
#[derive(Args)]
pub struct Weigh {
    #[arg(value_enum)]
    side: Side,
    #[arg(value_enum)]
    mode: Mode,
    forests: usize,
    rounds: usize,
}

/// The memory and the snapshot of a warm forest.
#[derive(Serialize, Deserialize)]
struct Weight {
    /// Resident bytes, as counted by the system.
    resident: u64,
    /// Bytes as the forest itself reports them.
    reported: u64,
    /// Bytes of a snapshot.
    snapshot: u64,
    take: Laps,
    restore: Laps,
}

/// Prints memory and snapshots of all four kinds.
pub fn run(effort: &Effort, results: &mut Results) -> anyhow::Result<()> {
    let titles = ["", "mode", "resident", "as reported", "snapshot", "snapshot µs", "restore µs"];
    let mut table = Table::new(2, &titles);
    for (side, mode) in [
        (Side::Ours, Mode::Fifo),
        (Side::Ours, Mode::Decay),
        (Side::Peer, Mode::Fifo),
        (Side::Peer, Mode::Decay),
    ] {
        progress(&format!("memory: {} {}", side.name(), mode.name()));
        let weight = weight_of(side, mode, effort)?;
        if (side, mode) == (Side::Ours, Mode::Fifo) {
            results.memory_bytes = Some(weight.resident);
            results.snapshot_bytes = Some(weight.snapshot);
            results.restore_us = Some(weight.restore.median());
        }
        table.row([
            side.name().to_owned(),
            mode.name().to_owned(),
            count(weight.resident),
            count(weight.reported),
            count(weight.snapshot),
            spread(&weight.take),
            spread(&weight.restore),
        ]);
    }
    table.print(
        "Bytes of a warm forest and its snapshot (krcflib: postcard), 100 trees × 256 points, shingle 8",
    );
    Ok(())
}

/// Starts this program again for one kind of forest.
fn weight_of(side: Side, mode: Mode, effort: &Effort) -> anyhow::Result<Weight> {
    let word = |value: Option<PossibleValue>| value.map_or_else(String::new, |v| v.get_name().to_owned());
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let output = Command::new(program)
        .args(["weigh", &word(side.to_possible_value()), &word(mode.to_possible_value())])
        .args([effort.memory_forests, effort.other.chunks].map(|number| number.to_string()))
        .output()
        .context("cannot start the process that measures memory")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the process that measures memory failed: {complaint}");
    serde_json::from_slice(&output.stdout)
        .context("cannot read what the process that measures memory printed")
}

impl Weigh {
    /// Builds the forests and prints the measurements of one forest as JSON.
    pub fn run(&self) -> anyhow::Result<()> {
        let restore = |snapshot: &[u8]| Forest::restore(snapshot).expect("a snapshot of this process");
        let weight = match self.side {
            Side::Ours => self.weigh(ours::build, Forest::memory_usage, Forest::snapshot, restore)?,
            Side::Peer => {
                self.weigh(peer::build, PeerForest::memory_usage, PeerForest::snapshot, PeerForest::restore)?
            }
        };
        println!("{}", serde_json::to_string(&weight)?);
        Ok(())
    }

    fn weigh<F: Contestant>(
        &self,
        build: impl Fn(Size, Mode, u64) -> F,
        report: impl Fn(&F) -> usize,
        take: impl Fn(&F) -> Vec<u8>,
        restore: impl Fn(&[u8]) -> F,
    ) -> anyhow::Result<Weight> {
        let before = resident()?;
        let seeds = 0..self.forests as u64;
        let forests: Vec<F> =
            seeds.map(|seed| warmed(build(Size::MAIN, self.mode, seed), self.mode)).collect();
        let grown = resident()?.saturating_sub(before);
        let forest = forests.first().context("at least one forest is needed")?;
        let mut weight = Weight {
            resident: grown / self.forests as u64,
            reported: report(forest) as u64,
            snapshot: 0,
            take: Laps::default(),
            restore: Laps::default(),
        };
        // Keeping the restored forests makes each of them take new memory, as after a restart.
        let mut kept = Vec::new();
        for _ in 0..self.rounds {
            let (snapshot, time) = cpu_time(|| take(forest));
            weight.take.push(time, 1);
            weight.snapshot = snapshot.len() as u64;
            let (restored, time) = cpu_time(|| restore(&snapshot));
            weight.restore.push(time, 1);
            kept.push(restored);
        }
        Ok(weight)
    }
}

fn warmed<F: Contestant>(mut forest: F, mode: Mode) -> F {
    let mut series = Series::new(Kind::Cont, Size::MAIN.fields, 1);
    warm(&mut [&mut forest], &mut series, Size::MAIN.warm_after(mode));
    forest
}

/// Returns the resident bytes of this process. `smaps_rollup` counts pages, while `statm` lags
/// behind.
fn resident() -> anyhow::Result<u64> {
    let text =
        fs::read_to_string("/proc/self/smaps_rollup").context("memory can only be measured on Linux")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("smaps_rollup has no Rss")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("Rss is not a number")?;
    Ok(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_grows_with_what_is_written() {
        let before = resident().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let grown = resident().unwrap() - before;
        assert!((60 << 20..80 << 20).contains(&grown), "{grown} for {}", block.len());
    }
}
