//! A progress line on standard error: rewritten in place on a terminal, repeated now and then in a
//! log.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::terminal::errln;
use indicatif::{ProgressBar, ProgressStyle};

/// The interval of lines if standard error is not a terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of a command.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    /// The line on the terminal; `None` if standard error is not a terminal.
    bar: Option<ProgressBar>,
    last_shown: Instant,
}

impl ProgressLine {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self { bar: std::io::stderr().is_terminal().then(new_bar), last_shown: Instant::now() }
    }

    /// Shows a text. A log gets at most one text in 10 s.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        } else if self.last_shown.elapsed() >= LOG_INTERVAL {
            self.last_shown = Instant::now();
            errln!("{}", text());
        }
    }

    /// Removes the line from the terminal.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that consists of its message.
fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
