//! `thicket sensors reset` and `forget`: requests that the engine does at one place of the log.
//! `rename`, which needs no place: the log has the first name of each sensor.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;
use thicket_schema::{SensorAction, SensorId, SensorName};
use thicket_store::postgres::{
    PostgresConnection, RenameOutcome, begin_forgetting, finish_forgetting, rename_sensor, request,
};

use crate::output::Format;
use crate::sensors;
use crate::stores::TABLES_MISSING;
use crate::terminal::outln;

/// What was requested.
#[derive(Debug, Serialize)]
struct Outcome {
    sensor: String,
    action: &'static str,
    /// Whether the engine will do it. Without `--yes`, a sensor is not forgotten.
    requested: bool,
    /// Rows that were deleted by this command.
    rows_deleted: i64,
}

/// A sensor that was renamed.
#[derive(Debug, Serialize)]
struct RenamedSensor {
    sensor: String,
    name: String,
}

/// Gives a sensor another name.
pub(super) async fn rename(
    postgres: &mut PostgresConnection,
    sensor: &str,
    name: &str,
    format: &Format,
) -> anyhow::Result<ExitCode> {
    let sensor = sensors::find(postgres, sensor).await?;
    let name = SensorName::new(name)?;
    if sensor.name == name.as_str() {
        bail!("{name} is its name already");
    }
    match rename_sensor(postgres, SensorId(sensor.id), &name).await.context(TABLES_MISSING)? {
        RenameOutcome::Renamed => {}
        RenameOutcome::Taken => {
            bail!("there is a sensor {name} already; `thicket sensors forget {name} --yes` deletes it")
        }
        RenameOutcome::Unknown => bail!("the sensor {} was forgotten meanwhile", sensor.name),
    }
    format.print(&RenamedSensor { sensor: sensor.name, name: name.to_string() }, |done| {
        outln!(
            "{} is {} from now on. An engine that runs knows the name within two seconds. Then messages with the old name are dead letters (sensor_renamed).",
            done.sensor,
            done.name
        );
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Requests that the detector of a sensor begin again.
pub(super) async fn reset(
    postgres: &mut PostgresConnection,
    name: &str,
    format: &Format,
) -> anyhow::Result<ExitCode> {
    let sensor = sensors::find(postgres, name).await?;
    request(postgres, SensorId(sensor.id), SensorAction::Reset).await?;
    let action = SensorAction::Reset.name();
    format.print(&Outcome { sensor: sensor.name, action, requested: true, rows_deleted: 0 }, |done| {
        outln!(
            "{}: its detector begins again within seconds while an engine runs, and warms up. Its rows stay.",
            done.sensor
        );
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Deletes the rows of a sensor, and requests that the engine forget it.
pub(super) async fn forget(
    postgres: &mut PostgresConnection,
    name: &str,
    yes: bool,
    format: &Format,
) -> anyhow::Result<ExitCode> {
    let sensor = sensors::find(postgres, name).await?;
    let (id, action) = (SensorId(sensor.id), SensorAction::Forget.name());
    let mut done = Outcome { sensor: sensor.name, action, requested: yes, rows_deleted: 0 };
    if !yes {
        format.print(&done, |done| {
            outln!(
                "{}: would delete all its rows, anomalies, labels, its detector and its checkpoint. They cannot be restored. Add --yes to delete them.",
                done.sensor
            );
        })?;
        return Ok(ExitCode::FAILURE);
    }
    // The request comes first: an engine finishes it if this command ends before the rows are
    // deleted.
    let request = begin_forgetting(postgres, id).await?;
    done.rows_deleted = finish_forgetting(postgres, id, request).await?;
    format.print(&done, |done| {
        outln!(
            "{}: {} rows are deleted. An engine that runs forgets the sensor within seconds.",
            done.sensor,
            done.rows_deleted
        );
    })?;
    Ok(ExitCode::SUCCESS)
}
