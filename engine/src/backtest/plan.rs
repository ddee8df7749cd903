//! The plan of a backtest: the sensors, the source of their readings, and how many readings there
//! are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use thicket_schema::postgres::SensorRow;
use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::{PostgresConnection, SeqRange, sensors_matching, seq_ranges};

use super::csv;
use crate::stores::TABLES_MISSING;

/// Sensors per query.
const CHUNK: usize = 100;

/// One sensor to score.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its name now, under which it is reported.
    pub(super) sensor: SensorName,
    /// Its name when it was new, which decides its detector.
    pub(super) first_name: SensorName,
    pub(super) origin: Origin,
    /// The approximate number of its readings.
    pub(super) readings: u64,
}

/// The source of readings.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The rows of the sensor with this id.
    Table(i64),
    /// A file.
    File(PathBuf),
}

/// The range of time that is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Timestamp,
    /// The maximum number of readings before `from` that warm a detector up.
    pub(super) warm_up_readings: u64,
    /// Whether late readings are scored too, in the order of their time.
    pub(super) with_late: bool,
}

impl Range {
    /// The start of the range; the Unix epoch, which is before every reading, if it has none.
    pub(super) fn start(&self) -> Timestamp {
        self.from.unwrap_or(Timestamp(0))
    }
}

/// Returns a job per file.
pub(super) fn of_files(files: &[PathBuf]) -> anyhow::Result<Vec<Job>> {
    let mut names = BTreeSet::new();
    let job = |path: &PathBuf| {
        let sensor = csv::sensor_of(path)?;
        if !names.insert(sensor.clone()) {
            bail!("two files have the name {sensor}, but the name of a file is that of its sensor");
        }
        let readings = csv::count_lines(path)?.saturating_sub(1);
        let first_name = sensor.clone();
        Ok(Job { sensor, first_name, origin: Origin::File(path.clone()), readings })
    };
    files.iter().map(job).collect()
}

/// Returns a job per sensor that matches a pattern and has readings to score in the range.
pub(super) async fn of_table(
    postgres: &mut PostgresConnection,
    pattern: &str,
    range: &Range,
) -> anyhow::Result<Vec<Job>> {
    let sensors = sensors_matching(postgres, pattern).await.context(TABLES_MISSING)?;
    if sensors.is_empty() {
        bail!("no sensor's name matches {pattern}; `thicket sensors list` lists them");
    }
    let mut jobs = Vec::new();
    for chunk in sensors.chunks(CHUNK) {
        let ids: Vec<i64> = chunk.iter().map(|sensor| sensor.id).collect();
        let ranges = seq_ranges(postgres, &ids, range.start(), range.to).await?;
        for sensor in chunk {
            let seqs = ranges.iter().find(|seqs| seqs.sensor == sensor.id);
            let readings = seqs.and_then(|seqs| count_readings(seqs, range));
            jobs.extend(readings.map(|readings| job(sensor, readings)).transpose()?);
        }
    }
    if jobs.is_empty() {
        bail!("none of the {} sensors that match has a reading to score in that time", sensors.len());
    }
    Ok(jobs)
}

fn job(sensor: &SensorRow, readings: u64) -> anyhow::Result<Job> {
    Ok(Job {
        sensor: SensorName::new(&sensor.name)?,
        first_name: SensorName::new(sensor.first_name())?,
        origin: Origin::Table(sensor.id),
        readings,
    })
}

/// The number of readings from the first to the last seq, and of those before them that warm the
/// detector up. `None` if there are no readings.
fn count_readings(seqs: &SeqRange, range: &Range) -> Option<u64> {
    let (Some(first), Some(last)) = (seqs.first, seqs.last) else {
        // All of them are late.
        return (range.with_late && seqs.has_readings).then_some(range.warm_up_readings);
    };
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    let warm_up = if range.from.is_some() { range.warm_up_readings.min(first.saturating_sub(1)) } else { 0 };
    Some((last + 1).saturating_sub(first) + warm_up)
}
