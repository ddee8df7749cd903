//! `thicket quarantine`: readings that every replay of the log skips. They are not dead letters: a
//! poison reading is stored without a score, and an unstorable one has a dead letter of its own.

pub(crate) mod args;

use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_schema::postgres::QuarantineRow;
use thicket_store::postgres::newest_quarantined;

use self::args::QuarantineCommand;
use crate::config::Config;
use crate::stores::{self, TABLES_MISSING};
use crate::terminal::{on_one_line, outln};
use crate::time_arg;

/// An entry of the quarantine as JSON.
#[derive(Debug, Serialize)]
struct EntryJson<'a> {
    partition: i32,
    position: String,
    reason: &'a str,
    sensor: &'a str,
    ts: Timestamp,
    detail: &'a str,
    quarantined: Timestamp,
}

impl<'a> From<&'a QuarantineRow> for EntryJson<'a> {
    fn from(row: &'a QuarantineRow) -> Self {
        Self {
            partition: row.partition,
            position: row.position().to_string(),
            reason: &row.reason,
            sensor: &row.sensor,
            ts: row.ts,
            detail: &row.detail,
            quarantined: row.quarantined,
        }
    }
}

/// Runs `thicket quarantine`.
pub(crate) async fn quarantine(config: &Config, command: QuarantineCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    let QuarantineCommand::List { limit, format } = command;
    let rows = newest_quarantined(&mut postgres, limit).await.context(TABLES_MISSING)?;
    let entries: Vec<EntryJson<'_>> = rows.iter().map(EntryJson::from).collect();
    format.print(&entries, |_| print(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn print(rows: &[QuarantineRow]) {
    if rows.is_empty() {
        outln!("no readings in quarantine");
    }
    for row in rows {
        outln!(
            "{:02}/{}  {}  {:<10}  {} at {}\n    {}",
            row.partition,
            row.position(),
            row.quarantined.to_datetime().format("%Y-%m-%d %H:%M:%S"),
            row.reason,
            on_one_line(&row.sensor),
            time_arg::show(row.ts),
            on_one_line(&row.detail)
        );
    }
}
