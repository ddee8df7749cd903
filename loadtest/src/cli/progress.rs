//! The progress line of the commands.

use std::time::Duration;

use crate::progress_line::{Intervals, ProgressLine};

/// Most jobs end before the second line of a log, so the first one is left out.
const INTERVALS: Intervals = Intervals {
    on_terminal: Duration::from_millis(100),
    in_log: Duration::from_secs(10),
    first_in_log: false,
};

/// Returns a line that has not been shown yet.
pub(super) fn progress_line() -> ProgressLine {
    ProgressLine::new(INTERVALS)
}
