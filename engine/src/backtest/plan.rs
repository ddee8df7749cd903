//! What there is to do: the sensors, how much past each has, where its readings come from.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::SensorRow;
use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::sensors_matching;

use super::csv;

/// Sensors that are asked for at a time.
const CHUNK: usize = 100;

/// One sensor to score.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) sensor: SensorName,
    pub(super) origin: Origin,
    /// About how many readings.
    pub(super) readings: u64,
}

/// Where readings come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The rows of the sensor with this id.
    Table(i64),
    /// A file.
    File(PathBuf),
}

/// The stretch of time that is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Timestamp,
    /// Most readings before `from` that warm a detector up.
    pub(super) warm_up_readings: u64,
}

impl Range {
    /// The beginning; before every reading if there is none.
    pub(super) fn start(&self) -> Timestamp {
        self.from.unwrap_or(Timestamp(0))
    }
}

/// Plans files.
pub(super) fn of_files(files: &[PathBuf]) -> anyhow::Result<Vec<Job>> {
    let mut names = BTreeSet::new();
    let job = |path: &PathBuf| {
        let sensor = csv::sensor_of(path)?;
        if !names.insert(sensor.clone()) {
            bail!("two files are named {sensor}, and a file's name is the sensor's");
        }
        let readings = csv::count_lines(path)?.saturating_sub(1);
        Ok(Job { sensor, origin: Origin::File(path.clone()), readings })
    };
    files.iter().map(job).collect()
}

/// Plans the sensors that match a pattern and have scored readings in the range.
pub(super) async fn of_table(
    postgres: &mut AsyncPgConnection,
    pattern: &str,
    range: &Range,
) -> anyhow::Result<Vec<Job>> {
    let sensors = sensors_matching(postgres, pattern).await.context("run `thicket migrate` first?")?;
    if sensors.is_empty() {
        bail!("no sensor's name matches {pattern}; `SELECT sensor FROM sensor_status` lists them");
    }
    let mut jobs = Vec::new();
    for chunk in sensors.chunks(CHUNK) {
        let ids: Vec<i64> = chunk.iter().map(|sensor| sensor.id).collect();
        // Readings are numbered without gaps, so the first and the last number of the range say how many there are.
        let ends: Vec<Ends> = sql_query(
            "SELECT s.id,
                    (SELECT r.seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $2 AND r.ts <= $3 AND r.seq IS NOT NULL
                     ORDER BY r.ts LIMIT 1) AS first,
                    (SELECT r.seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $2 AND r.ts <= $3 AND r.seq IS NOT NULL
                     ORDER BY r.ts DESC LIMIT 1) AS last
             FROM sensors s WHERE s.id = ANY($1)",
        )
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Timestamptz, _>(range.start().to_datetime())
        .bind::<Timestamptz, _>(range.to.to_datetime())
        .load(postgres)
        .await?;
        for sensor in chunk {
            let readings =
                ends.iter().find(|ends| ends.id == sensor.id).and_then(|ends| ends.readings(range));
            jobs.extend(readings.map(|readings| job(sensor, readings)).transpose()?);
        }
    }
    if jobs.is_empty() {
        bail!("none of the {} sensors that match has a scored reading in that time", sensors.len());
    }
    Ok(jobs)
}

fn job(sensor: &SensorRow, readings: u64) -> anyhow::Result<Job> {
    Ok(Job { sensor: SensorName::new(&sensor.name)?, origin: Origin::Table(sensor.id), readings })
}

#[derive(QueryableByName)]
struct Ends {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    first: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
}

impl Ends {
    fn readings(&self, range: &Range) -> Option<u64> {
        let (first, last) = (self.first?.cast_unsigned(), self.last?.cast_unsigned());
        let warm_up =
            if range.from.is_some() { range.warm_up_readings.min(first.saturating_sub(1)) } else { 0 };
        Some((last + 1).saturating_sub(first) + warm_up)
    }
}
