//! A progress line on standard error: rewritten in place on a terminal, and printed now and then
//! elsewhere.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often the line is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    /// The time between two updates on a terminal.
    pub(crate) on_terminal: Duration,
    /// The time between two lines in a log.
    pub(crate) in_log: Duration,
    /// Whether a log gets the first text. A short job then prints one line more.
    pub(crate) first_in_log: bool,
}

/// Shows how far a job has come.
pub(crate) struct ProgressLine {
    intervals: Intervals,
    /// The line on the terminal; `None` if standard error is not a terminal.
    bar: Option<ProgressBar>,
    last_shown: Option<Instant>,
}

impl ProgressLine {
    pub(crate) fn new(intervals: Intervals) -> Self {
        let bar = io::stderr().is_terminal().then(new_bar);
        Self { intervals, bar, last_shown: None }
    }

    /// Shows the text, unless the last one was shown only a moment ago.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let interval = if self.bar.is_some() { self.intervals.on_terminal } else { self.intervals.in_log };
        if self.last_shown.is_some_and(|shown| shown.elapsed() < interval) {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(text()),
            None if self.intervals.first_in_log || self.last_shown.is_some() => eprintln!("{}", text()),
            None => {}
        }
        self.last_shown = Some(Instant::now());
    }

    /// Leaves the current text where it is and prints a line below it.
    pub(crate) fn print_below(&mut self, line: &str) {
        if let Some(bar) = &mut self.bar
            && !bar.message().is_empty()
        {
            bar.abandon();
            *bar = new_bar();
        }
        eprintln!("{line}");
    }

    /// Replaces the progress by a last line; by none if `line` is empty.
    pub(crate) fn finish(self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !line.is_empty() {
            eprintln!("{line}");
        }
    }
}

/// Returns a bar that shows only its message.
fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
