//! `thicket sensors`: lists sensors, shows the fields of one and why some of them are not scored,
//! and asks the engine to let a detector begin again or to forget a sensor.

pub(crate) mod args;
mod list;
mod requests;

use std::process::ExitCode;

use serde::Serialize;
use thicket_schema::postgres::{SensorFieldRow, SensorRow};
use thicket_schema::{SensorId, Timestamp};
use thicket_store::postgres::fields_of_sensor;

use self::args::SensorsCommand;
use crate::config::Config;
use crate::format::count;
use crate::terminal::outln;
use crate::{sensors, stores, time_arg};

/// A sensor and its fields.
#[derive(Debug, PartialEq, Serialize)]
struct Shown {
    sensor: String,
    /// Its name in the log and in Redis, if it was renamed.
    first_name: Option<String>,
    partition: i32,
    first_seen: Timestamp,
    fields: Vec<ShownField>,
    /// How often a reading had a field beyond the number of names that a detector keeps, rounded
    /// down to a power of two.
    untracked: i64,
}

/// A field of a sensor.
#[derive(Debug, PartialEq, Serialize)]
struct ShownField {
    field: String,
    scored: bool,
    /// The column `standing` of `sensor_fields`; `undecided` if the field has no row there.
    standing: String,
    /// Why the field is not scored; `None` if it is.
    reason: Option<String>,
    /// What is remarkable about a scored field, in words.
    remark: Option<String>,
}

/// Runs `thicket sensors`.
pub(crate) async fn sensors(config: &Config, command: SensorsCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    match command {
        SensorsCommand::List { pattern, limit, format } => {
            list::list(&mut postgres, &pattern, limit, &format).await
        }
        SensorsCommand::Show { sensor, format } => {
            let sensor = sensors::find(&mut postgres, &sensor).await?;
            let rows = fields_of_sensor(&mut postgres, SensorId(sensor.id)).await?;
            format.print(&Shown::new(sensor, rows), print)?;
            Ok(ExitCode::SUCCESS)
        }
        SensorsCommand::Rename { sensor, name, format } => {
            requests::rename(&mut postgres, &sensor, &name, &format).await
        }
        SensorsCommand::Reset { sensor, format } => requests::reset(&mut postgres, &sensor, &format).await,
        SensorsCommand::Forget { sensor, yes, format } => {
            requests::forget(&mut postgres, &sensor, yes, &format).await
        }
    }
}

impl Shown {
    fn new(sensor: SensorRow, rows: Vec<SensorFieldRow>) -> Self {
        let SensorRow { name, first_name, partition, fields, first_seen, untracked, .. } = sensor;
        let undecided = fields.into_iter().filter(|field| rows.iter().all(|row| row.field != *field));
        let undecided: Vec<ShownField> = undecided.map(ShownField::undecided).collect();
        let mut fields: Vec<ShownField> = rows.into_iter().map(ShownField::from).chain(undecided).collect();
        fields.sort_by(|a, b| b.scored.cmp(&a.scored).then_with(|| a.field.cmp(&b.field)));
        Self { sensor: name, first_name, partition, first_seen, fields, untracked }
    }
}

impl ShownField {
    fn undecided(field: String) -> Self {
        let reason = "not decided yet: too few readings have it, or it is one of very many fields";
        let standing = "undecided".to_owned();
        Self { field, scored: false, standing, reason: Some(reason.to_owned()), remark: None }
    }
}

impl From<SensorFieldRow> for ShownField {
    fn from(row: SensorFieldRow) -> Self {
        let SensorFieldRow { field, standing, pattern, remark, repeats, .. } = row;
        let reason = match standing.as_str() {
            "scored" => None,
            "excluded" => Some(format!("the pattern {pattern} of detector.exclude matches its name")),
            "not_listed" => Some("detector.fields does not list it".to_owned()),
            "constant" => Some(
                "it did not change in the readings that decided the fields; a step of it is still judged"
                    .to_owned(),
            ),
            "rare" => Some("too few of the readings that decided the fields have it".to_owned()),
            "limit" => Some("the sensor has more fields than a detector can score".to_owned()),
            other => Some(other.to_owned()),
        };
        let remark = match remark.as_str() {
            "" => None,
            "constant" => Some("it has never changed so far".to_owned()),
            "stepwise" => Some("it takes few values, and is judged by its steps".to_owned()),
            "counts" => {
                Some("it only counts up: list it in detector.counters to score its growth".to_owned())
            }
            "repeats" => Some(format!("it repeats {repeats}: detector.exclude can leave one of the two out")),
            other => Some(other.to_owned()),
        };
        Self { field, scored: reason.is_none(), standing, reason, remark }
    }
}

fn print(shown: &Shown) {
    let Shown { sensor, first_name, partition, first_seen, fields, untracked } = shown;
    let scored = fields.iter().filter(|field| field.scored).count();
    outln!("{sensor}, partition {partition:02}, first seen {}", time_arg::show(*first_seen));
    if let Some(first_name) = first_name {
        outln!("renamed: its name in the log, in Redis and for [[detectors]] is {first_name}");
    }
    outln!(
        "{}: {scored} scored, {} stored only\n",
        count(fields.len() as u64, "field"),
        fields.len() - scored
    );
    let width = fields.iter().map(|field| field.field.chars().count()).max().unwrap_or(0);
    for ShownField { field, reason, remark, .. } in fields {
        match (reason, remark) {
            (None, None) => outln!("{field:<width$}  scored"),
            (None, Some(remark)) => outln!("{field:<width$}  scored; {remark}"),
            (Some(reason), _) => outln!("{field:<width$}  stored only: {reason}"),
        }
    }
    if *untracked > 0 {
        outln!(
            "\nIts readings have had fields beyond the names that a detector keeps, at least {untracked} times."
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scored_fields_come_first_and_every_other_field_has_a_reason() {
        let row = |field: &str, standing: &str, pattern: &str| SensorFieldRow {
            sensor: 1,
            field: field.to_owned(),
            standing: standing.to_owned(),
            pattern: pattern.to_owned(),
            remark: if standing == "scored" { "repeats".to_owned() } else { String::new() },
            repeats: "other".to_owned(),
        };
        let sensor = SensorRow {
            id: 1,
            name: "a".to_owned(),
            partition: 3,
            fields: ["battery", "new", "temp"].map(str::to_owned).to_vec(),
            first_seen: Timestamp(0),
            untracked: 0,
            field_sets: Vec::new(),
            first_name: None,
        };
        let rows = vec![row("battery", "excluded", "batt*"), row("temp", "scored", "")];
        let shown = Shown::new(sensor, rows);
        let names: Vec<&str> = shown.fields.iter().map(|field| field.field.as_str()).collect();
        assert_eq!(names, ["temp", "battery", "new"]);
        assert_eq!(shown.fields[0].reason, None);
        assert!(shown.fields[0].remark.as_ref().is_some_and(|remark| remark.starts_with("it repeats other")));
        assert!(shown.fields[1].reason.as_ref().is_some_and(|reason| reason.contains("batt*")));
        assert_eq!(shown.fields[2].standing, "undecided");
    }
}
