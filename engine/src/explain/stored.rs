//! The reading to explain, and its detection as it is stored.

use anyhow::bail;
use serde::Serialize;
use thicket_detector::Detection;
use thicket_schema::postgres::SensorRow;
use thicket_schema::{Flag, SensorId, Timestamp};
use thicket_store::postgres::{NamedReading, PostgresConnection, first_scored, newest_scored};

use crate::time_arg;

/// The numbers of a detection.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ScoreValues {
    pub(super) score: f64,
    pub(super) grade: Option<f64>,
    /// As a row stores them.
    pub(super) confidence: f32,
    pub(super) onset: f32,
}

impl From<&Detection> for ScoreValues {
    fn from(detection: &Detection) -> Self {
        Self {
            score: detection.score,
            grade: detection.grade,
            confidence: detection.confidence as f32,
            onset: detection.onset as f32,
        }
    }
}

/// A scored reading as it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredDetection {
    pub(super) ts: Timestamp,
    pub(super) seq: u64,
    /// How often the sensor's time had begun again before.
    pub(super) era: i32,
    pub(super) names: Vec<String>,
    pub(super) values: Vec<f64>,
    pub(super) scores: ScoreValues,
    /// Identity of the configuration that it was scored with.
    pub(super) config: u64,
    flags: i32,
}

/// The flags that are shown, in this order, and their names for people.
const FLAG_NAMES: [(Flag, &str); 9] = [
    (Flag::Anomaly, "anomaly"),
    (Flag::WarmingUp, "warming up"),
    (Flag::Suppressed, "suppressed"),
    (Flag::Imputed, "a field was missing"),
    (Flag::Stuck, "stuck"),
    (Flag::AfterSilence, "after a silence"),
    (Flag::LearningSlowed, "learning slowed"),
    (Flag::Stamped, "time given by the engine"),
    (Flag::Shifted, "another reading has its written time"),
];

impl StoredDetection {
    /// Reads the newest scored reading of a sensor at or before a time.
    pub(super) async fn read(
        postgres: &mut PostgresConnection,
        sensor: &SensorRow,
        at: Timestamp,
    ) -> anyhow::Result<Self> {
        let id = SensorId(sensor.id);
        if let Some(stored) = newest_scored(postgres, id, at).await?.and_then(Self::from_row) {
            return Ok(stored);
        }
        let first = first_scored(postgres, id).await?.map_or_else(
            || "it has none at all".to_owned(),
            |first| format!("its first is at {}", time_arg::show(first)),
        );
        bail!("{} has no scored reading at or before {}; {first}", sensor.name, time_arg::show(at));
    }

    /// `None` if the row is not that of a scored reading.
    fn from_row(NamedReading { reading, names }: NamedReading) -> Option<Self> {
        Some(Self {
            ts: reading.ts,
            seq: reading.seq?.cast_unsigned(),
            era: reading.era,
            names,
            values: reading.values,
            scores: ScoreValues {
                score: reading.score?,
                grade: reading.grade,
                confidence: reading.confidence.unwrap_or(f32::NAN),
                onset: reading.onset.unwrap_or(f32::NAN),
            },
            config: reading.config?.cast_unsigned(),
            flags: reading.flags,
        })
    }

    /// The names of its flags, for people.
    pub(super) fn flag_names(&self) -> Vec<&'static str> {
        FLAG_NAMES.iter().filter(|(flag, _)| flag.is_in(self.flags)).map(|(_, name)| *name).collect()
    }

    /// Whether a detection has the same seq, score and grade, bit for bit.
    pub(super) fn is_equal_to(&self, detection: &Detection) -> bool {
        self.seq == detection.seq
            && self.scores.score.to_bits() == detection.score.to_bits()
            && self.scores.grade.map(f64::to_bits) == detection.grade.map(f64::to_bits)
    }
}
