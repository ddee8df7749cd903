//! How far it is, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::rows::Table;

/// Between two lines in a log.
const INTERVAL_IN_LOGS: Duration = Duration::from_secs(10);

/// Shows which day of how many is read.
pub(super) struct Progress {
    started: Instant,
    shown: Instant,
    is_terminal: bool,
    days: usize,
    rows: i64,
    rows_before: i64,
}

impl Progress {
    pub(super) fn new(tables: &[Table]) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            shown: now,
            is_terminal: std::io::stderr().is_terminal(),
            days: tables.len(),
            rows: tables.iter().map(|table| table.rows).sum(),
            rows_before: 0,
        }
    }

    /// Before the day of this index is read.
    pub(super) fn begin(&mut self, index: usize, table: &Table) {
        let line = format!(
            "reconcile: day {} of {} ({}), about {} of {} rows, {:.0} s",
            index + 1,
            self.days,
            table.name,
            self.rows_before,
            self.rows,
            self.started.elapsed().as_secs_f64()
        );
        self.rows_before += table.rows;
        if self.is_terminal {
            eprint!("\r\x1b[2K{line}");
            // Nothing can be done about a terminal that does not take its line.
            let _ = std::io::stderr().flush();
        } else if self.shown.elapsed() >= INTERVAL_IN_LOGS {
            self.shown = Instant::now();
            eprintln!("{line}");
        }
    }

    /// Leaves a terminal's line empty.
    pub(super) fn finish(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[2K");
        }
    }
}
