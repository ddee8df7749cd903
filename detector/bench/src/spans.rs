//! Labelled spans, runs of rows above a threshold, and which of them meet.

use crate::stream::EventRows;

/// Rows that follow each other. Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The first row.
    pub first: usize,
    /// The last row.
    pub last: usize,
}

impl From<&EventRows> for Rows {
    /// An open event lasts for ever.
    fn from(event: &EventRows) -> Self {
        Self { first: event.first, last: event.last.unwrap_or(usize::MAX) }
    }
}

/// Runs of rows above a threshold that are at most this far apart are joined.
const GAP: usize = 20;

/// Number of rows by which an event may miss a span and still find it.
const SLACK: usize = 20;

/// Returns the spans of labelled rows.
pub fn labelled(labels: &[bool]) -> Vec<Rows> {
    joined((0..labels.len()).filter(|&row| labels[row]), 1)
}

/// Returns the runs of rows whose score reaches the threshold, joined over small gaps.
pub fn runs(scores: &[f64], threshold: f64) -> Vec<Rows> {
    joined((0..scores.len()).filter(|&row| scores[row] >= threshold), GAP)
}

/// Joins rows, which rise, if they are at most `gap` apart.
fn joined(rows: impl Iterator<Item = usize>, gap: usize) -> Vec<Rows> {
    let mut runs: Vec<Rows> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some(run) if row - run.last <= gap => run.last = row,
            _ => runs.push(Rows { first: row, last: row }),
        }
    }
    runs
}

/// Which events find a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Events that overlap the span, or begin up to 20 rows after it.
    Meeting,
    /// Those of them that begin in the span, or up to 20 rows before or after it.
    Beginning,
}

/// Found spans and false alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spans that an event finds.
    pub found: usize,
    /// All spans.
    pub spans: usize,
    /// Events that meet no span. An event that began before the rows that count is none.
    pub false_alarms: usize,
}

impl Tally {
    /// Counts the spans and events of which at least one row is `start` or later.
    pub fn of(spans: &[Rows], events: &[Rows], start: usize, finds: Finds) -> Self {
        let counted = |rows: &&Rows| rows.last >= start;
        let spans: Vec<&Rows> = spans.iter().filter(counted).collect();
        let events: Vec<&Rows> = events.iter().filter(counted).collect();
        let meets = |event: &Rows, span: &Rows| event.first <= span.last + SLACK && event.last >= span.first;
        let found = |span: &&&Rows| {
            events.iter().any(|event| {
                meets(event, span) && (finds == Finds::Meeting || event.first + SLACK >= span.first)
            })
        };
        Self {
            found: spans.iter().filter(found).count(),
            spans: spans.len(),
            false_alarms: events
                .iter()
                .filter(|event| event.first >= start && !spans.iter().any(|span| meets(event, span)))
                .count(),
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.spans += other.spans;
        self.false_alarms += other.false_alarms;
    }
}

#[cfg(test)]
mod tests;
