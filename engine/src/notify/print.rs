//! Prints notifications and silences.

use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_store::postgres::{ListedDelivery, Silence};

use crate::format::count;
use crate::terminal::{on_one_line, outln};
use crate::time_arg;

/// A notification of a route as JSON.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryJson<'a> {
    route: &'a str,
    sensor: &'a str,
    started: Timestamp,
    kind: &'a str,
    state: &'a str,
    changed: Timestamp,
    attempts: i32,
    error: &'a str,
}

impl<'a> From<&'a ListedDelivery> for DeliveryJson<'a> {
    fn from(row: &'a ListedDelivery) -> Self {
        Self {
            route: &row.route,
            sensor: &row.sensor,
            started: row.started,
            kind: &row.kind,
            state: &row.state,
            changed: row.changed,
            attempts: row.attempts,
            error: &row.error,
        }
    }
}

/// A silence as JSON.
#[derive(Debug, Serialize)]
pub(super) struct SilenceJson<'a> {
    id: i64,
    pattern: &'a str,
    until: Timestamp,
    note: &'a str,
    author: &'a str,
}

impl<'a> From<&'a Silence> for SilenceJson<'a> {
    fn from(row: &'a Silence) -> Self {
        Self { id: row.id, pattern: &row.pattern, until: row.until, note: &row.note, author: &row.author }
    }
}

/// Prints notifications for people.
pub(super) fn print_deliveries(rows: &[ListedDelivery]) {
    if rows.is_empty() {
        outln!("no notifications");
    }
    for row in rows {
        let error = match row.attempts {
            0 => String::new(),
            attempts if row.error.is_empty() => format!("  ({})", count(attempts, "attempt")),
            attempts => format!("\n    {}: {}", count(attempts, "attempt"), on_one_line(&row.error)),
        };
        outln!(
            "{}  {:<8} {:<8} {}  {} of {}{error}",
            time_arg::show(row.changed),
            row.state,
            row.kind,
            on_one_line(&row.route),
            on_one_line(&row.sensor),
            time_arg::show(row.started)
        );
    }
}

/// Prints silences for people.
pub(super) fn print_silences(rows: &[Silence]) {
    if rows.is_empty() {
        outln!("no silences");
    }
    for Silence { id, pattern, until, note, author } in rows {
        let by = if author.is_empty() { String::new() } else { format!("  by {}", on_one_line(author)) };
        let note = if note.is_empty() { String::new() } else { format!(": {}", on_one_line(note)) };
        outln!("{id}  {} until {}{by}{note}", on_one_line(pattern), time_arg::show(*until));
    }
}
