//! The progress of the snapshot.

use std::time::Instant;

use thicket_store::postgres::DayTable;

use crate::progress_line::ProgressLine;

/// Shows the day that is read.
pub(super) struct Progress {
    line: ProgressLine,
    started: Instant,
    days: usize,
    days_begun: usize,
    rows: i64,
    rows_before: i64,
}

impl Progress {
    pub(super) fn new(days: &[DayTable]) -> Self {
        Self {
            line: ProgressLine::new(),
            started: Instant::now(),
            days: days.len(),
            days_begun: 0,
            rows: days.iter().map(|day| day.estimated_rows).sum(),
            rows_before: 0,
        }
    }

    /// Shows that the next day is read from now on.
    pub(super) fn begin(&mut self, day: &DayTable) {
        self.days_begun += 1;
        let (begun, days, rows_before, rows) = (self.days_begun, self.days, self.rows_before, self.rows);
        let seconds = self.started.elapsed().as_secs_f64();
        self.line.show(|| {
            format!(
                "reconcile: day {begun} of {days} ({}), about {rows_before} of {rows} rows, {seconds:.0} s",
                day.name
            )
        });
        self.rows_before += day.estimated_rows;
    }

    /// Removes the line.
    pub(super) fn finish(&self) {
        self.line.finish();
    }
}
