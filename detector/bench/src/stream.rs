//! Streams a series through a detector as the engine does.

use std::time::Duration;

use anyhow::Context as _;
use cpu_time::ThreadTime;
use thicket_detector::{Detector, DetectorConfig};

/// The readings of one sensor, in the order of their arrival.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// Names of the fields, sorted.
    pub names: &'a [String],
    /// Timestamps in microseconds since 1970.
    pub micros: &'a [i64],
    /// Values, row by row: one value per name. NaN where a reading lacks the field.
    pub values: &'a [f64],
}

/// An event, in rows of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRows {
    /// Row whose detection announced the event.
    pub announced: usize,
    /// First anomalous row.
    pub first: usize,
    /// Last anomalous row. `None` if the event is open after the last row.
    pub last: Option<usize>,
}

/// The result of a detector on one series.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The `grade` of each row. `None` also for late and repeated readings, which the engine does
    /// not give to a detector.
    pub grades: Vec<Option<f64>>,
    /// The `onset` of each row, 0 for late and repeated readings.
    pub onsets: Vec<f64>,
    /// The announced events, each as the detector reported it last.
    pub events: Vec<EventRows>,
    /// Memory of the detector after the last row, in bytes.
    pub memory: usize,
    /// Processor time of the whole series.
    pub spent: Duration,
}

/// Applies the readings to a new detector. The detector's random cuts depend on the sensor's name.
///
/// # Errors
/// A value is infinite, or a reading is before 1970.
pub fn stream(sensor: &str, config: &DetectorConfig, readings: Readings) -> anyhow::Result<Scored> {
    let Readings { names, micros, values } = readings;
    let mut detector = Detector::new(sensor, config);
    let mut scored = Scored {
        grades: Vec::with_capacity(micros.len()),
        onsets: Vec::with_capacity(micros.len()),
        events: Vec::new(),
        memory: 0,
        spent: Duration::ZERO,
    };
    // Timestamps and rows of the readings that the detector was given. Both rise.
    let mut given: Vec<(i64, usize)> = Vec::with_capacity(micros.len());
    let mut last_started = None;
    let begin = ThreadTime::now();
    for (row, (&ts, values)) in micros.iter().zip(values.chunks_exact(names.len())).enumerate() {
        if detector.newest().is_some_and(|newest| ts <= newest) {
            scored.grades.push(None);
            scored.onsets.push(0.0);
            continue;
        }
        let detection = detector.apply(ts, names, values).with_context(|| format!("row {row}"))?;
        given.push((ts, row));
        scored.grades.push(detection.grade);
        scored.onsets.push(detection.onset);
        let Some(event) = detection.event else { continue };
        let row_of = |ts: i64| given.binary_search_by_key(&ts, |&(ts, _)| ts).map(|at| given[at].1);
        let Ok(first) = row_of(event.started) else { continue };
        let last = event.ended.and_then(|ended| row_of(ended).ok());
        match scored.events.last_mut() {
            Some(known) if last_started == Some(event.started) => known.last = last,
            _ => scored.events.push(EventRows { announced: row, first, last }),
        }
        last_started = Some(event.started);
    }
    scored.spent = begin.elapsed();
    scored.memory = detector.memory_usage();
    Ok(scored)
}

#[cfg(test)]
mod tests;
