//! A progress line on standard error, rewritten in place on a terminal and kept short elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Shows how far a job has come.
pub(super) struct ProgressLine {
    terminal: bool,
    shown: Option<Instant>,
    every: Duration,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let every = if terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        Self { terminal, shown: None, every }
    }

    /// Shows the text if it is time to.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        if self.shown.is_some_and(|shown| shown.elapsed() < self.every) {
            return;
        }
        // Off a terminal the first line is not worth showing: most jobs end before the second.
        if self.terminal {
            eprint!("\r\x1b[2K{}", text());
            let _ = io::stderr().flush();
        } else if self.shown.is_some() {
            eprintln!("{}", text());
        }
        self.shown = Some(Instant::now());
    }

    /// Replaces the progress by a last line.
    pub(super) fn finish(self, text: &str) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
        if !text.is_empty() {
            eprintln!("{text}");
        }
    }
}
