//! `thicket sensors reset` and `forget`: requests that the engine does at one place of the log.

use std::process::ExitCode;

use serde::Serialize;
use thicket_schema::{SensorAction, SensorId};
use thicket_store::postgres::{PostgresConnection, begin_forgetting, finish_forgetting, request};

use crate::output::Format;
use crate::sensors;
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
    // The request comes first: an engine finishes it if this command ends before the rows are deleted.
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
