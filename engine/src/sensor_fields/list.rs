//! `thicket sensors list`.

use std::process::ExitCode;

use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_store::postgres::{ListedSensor, PostgresConnection, count_sensors_matching, list_sensors};

use crate::output::Format;
use crate::stores::TABLES_MISSING;
use crate::terminal::{errln, outln};
use crate::time_arg;
use anyhow::Context as _;

/// A sensor in the list.
#[derive(Debug, Serialize)]
struct Listed {
    sensor: String,
    partition: i32,
    first_seen: Timestamp,
    last_seen: Option<Timestamp>,
    fields: i64,
}

impl From<ListedSensor> for Listed {
    fn from(sensor: ListedSensor) -> Self {
        let ListedSensor { name, partition, first_seen, last_seen, fields } = sensor;
        Self { sensor: name, partition, first_seen, last_seen, fields }
    }
}

/// Lists the sensors that match a pattern.
pub(super) async fn list(
    postgres: &mut PostgresConnection,
    pattern: &str,
    limit: i64,
    format: &Format,
) -> anyhow::Result<ExitCode> {
    let found = list_sensors(postgres, pattern, limit).await.context(TABLES_MISSING)?;
    let listed: Vec<Listed> = found.into_iter().map(Listed::from).collect();
    format.print(&listed, |listed| print(listed))?;
    // Only a full list can be cut short.
    if listed.len() as i64 >= limit {
        let matching = count_sensors_matching(postgres, pattern).await.context(TABLES_MISSING)?;
        if let Some(words) = cut_short(listed.len(), matching) {
            errln!("{words}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that a list is not complete. On standard error: the list is data, also in JSON.
fn cut_short(shown: usize, matching: i64) -> Option<String> {
    (matching > shown as i64).then(|| format!("{shown} of {matching}; --limit N shows more"))
}

fn print(listed: &[Listed]) {
    let width = listed.iter().map(|one| one.sensor.chars().count()).max().unwrap_or(0).max(6);
    outln!("{:<width$}  part  fields  {:<25}  last seen", "sensor", "first seen");
    for Listed { sensor, partition, first_seen, last_seen, fields } in listed {
        let last_seen = last_seen.map_or_else(|| "no rows".to_owned(), time_arg::show);
        let first_seen = time_arg::show(*first_seen);
        outln!("{sensor:<width$}  {partition:>4}  {fields:>6}  {first_seen:<25}  {last_seen}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_short_says_so() {
        assert_eq!(cut_short(100, 5_723).unwrap(), "100 of 5723; --limit N shows more");
        assert!(cut_short(100, 100).is_none());
    }
}
