//! Setting and clearing the label of an anomaly. The command and the HTTP API both use this.

use thicket_schema::postgres::SensorRow;
use thicket_schema::{SensorId, Timestamp};
use thicket_store::postgres::{
    Anomaly, NewLabel, PostgresConnection, QueryError, clear_label, find_anomaly, nearest_anomalies,
    set_label,
};

use crate::sensors::{self, SensorError};
use crate::stores::TABLES_MISSING;
use crate::time_arg;

/// Anomalies that an error suggests if none started at the given time.
const NEAREST: i64 = 3;

/// Why an anomaly cannot be labelled.
#[derive(Debug, thiserror::Error)]
pub(super) enum LabelError {
    /// There is no such sensor.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// No anomaly of the sensor started then.
    #[error("no anomaly of {sensor} began at {started}{}", suggestion(.nearest))]
    NoAnomaly {
        /// The sensor.
        sensor: String,
        /// The given time.
        started: String,
        /// When the nearest anomalies started, the nearest first.
        nearest: Vec<String>,
    },
    /// The statement failed.
    #[error("{TABLES_MISSING}")]
    Database(#[from] QueryError),
}

/// Sets the label of an anomaly, or clears it if `new` is `None`. Returns the anomaly with its new
/// label.
pub(super) async fn change_label(
    postgres: &mut PostgresConnection,
    sensor: &str,
    started: Timestamp,
    new: Option<NewLabel<'_>>,
) -> Result<Anomaly, LabelError> {
    let sensor = sensors::find(postgres, sensor).await?;
    change_label_of(postgres, &sensor, started, new).await
}

/// Does the same for a sensor that was found.
pub(super) async fn change_label_of(
    postgres: &mut PostgresConnection,
    sensor: &SensorRow,
    started: Timestamp,
    new: Option<NewLabel<'_>>,
) -> Result<Anomaly, LabelError> {
    let id = SensorId(sensor.id);
    match new {
        Some(new) => set_label(postgres, id, started, new).await?,
        None => clear_label(postgres, id, started).await?,
    }
    if let Some(anomaly) = find_anomaly(postgres, id, started).await? {
        return Ok(anomaly);
    }
    let nearest = nearest_anomalies(postgres, id, started, NEAREST).await?;
    Err(LabelError::NoAnomaly {
        sensor: sensor.name.clone(),
        started: time_arg::show(started),
        nearest: nearest.into_iter().map(time_arg::show).collect(),
    })
}

fn suggestion(nearest: &[String]) -> String {
    match nearest {
        [] => "; it has none".to_owned(),
        nearest => format!("; the nearest began at {}", nearest.join(", ")),
    }
}
