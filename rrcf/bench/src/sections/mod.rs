//! The sections of the benchmark. Each prints one table.

pub mod cold;
pub mod few;
pub mod main;
pub mod matrix;
pub mod memory;
pub mod window;

use crate::race::{Laps, Length};
use crate::table::micros;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether to measure fewer sizes.
    pub quick: bool,
    /// Length of the race for the main table.
    pub main: Length,
    /// Length of the race for every other table.
    pub other: Length,
    /// Number of cold forests of each side.
    pub cold_forests: usize,
    /// Number of rounds over the cold forests.
    pub cold_rounds: usize,
    /// Number of forests of each kind whose memory is measured.
    pub memory_forests: usize,
}

impl Effort {
    /// Returns the effort of a quick or a full run. `forests` overrides the number of cold forests.
    pub fn new(quick: bool, forests: Option<u32>) -> Self {
        let length = |chunks, points| Length { chunks, points };
        let (main, other, cold_forests, cold_rounds, memory_forests) = if quick {
            (length(15, 50), length(9, 40), 200, 3, 3)
        } else {
            (length(61, 100), length(31, 60), 2_000, 5, 10)
        };
        let cold_forests = forests.map_or(cold_forests, |forests| forests as usize);
        Self { quick, main, other, cold_forests, cold_rounds, memory_forests }
    }

    /// Returns all sizes, or only the first `quick` of them in a quick run.
    fn sizes<'a, T>(&self, all: &'a [T], quick: usize) -> &'a [T] {
        if self.quick { &all[..quick] } else { all }
    }
}

/// Formats a race as "median (least)", in microseconds.
fn spread(laps: &Laps) -> String {
    format!("{} ({})", micros(laps.median()), micros(laps.least()))
}

/// Reports progress on standard error.
fn progress(what: &str) {
    eprintln!("rrcf-bench: {what}");
}
