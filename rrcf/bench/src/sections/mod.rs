//! One table each: what is measured, at which sizes.

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
    /// Whether fewer sizes will do.
    pub quick: bool,
    /// Chunks of the main table.
    pub main: Length,
    /// Chunks of every other one.
    pub other: Length,
    /// Forests of each side in the round of the cold ones.
    pub cold_forests: usize,
    /// Rounds through them.
    pub cold_rounds: usize,
    /// Forests of a kind whose memory is measured.
    pub memory_forests: usize,
}

impl Effort {
    /// The effort of a quick or a full run, with `forests` cold forests if given.
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

    /// All of the sizes, or only the first few of them.
    fn sizes<'a, T>(&self, all: &'a [T], quick: usize) -> &'a [T] {
        if self.quick { &all[..quick] } else { all }
    }
}

/// "median (least)" of a race, in microseconds.
fn spread(laps: &Laps) -> String {
    format!("{} ({})", micros(laps.median()), micros(laps.least()))
}

/// Says on standard error what is going on.
fn progress(what: &str) {
    eprintln!("rrcf-bench: {what}");
}
