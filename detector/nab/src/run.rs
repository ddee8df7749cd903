//! Streams series through detectors as the engine does.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use cpu_time::ThreadTime;
use thicket_detector::{Detector, DetectorConfig};

use crate::dataset::Series;

/// The result of a detector on one series.
pub(crate) struct Scored {
    /// The `onset` of each row.
    pub(crate) onsets: Vec<f64>,
    /// First row of each event.
    pub(crate) alarms: Vec<usize>,
    /// Memory of the detector after the last row, in bytes.
    pub(crate) memory: usize,
    /// Processor time of the whole series.
    pub(crate) spent: Duration,
}

/// Applies a new detector to a series. The seed is part of the sensor's name, so each seed gives
/// other random cuts.
pub(crate) fn run(series: &Series, config: &DetectorConfig, seed: u64) -> anyhow::Result<Scored> {
    let mut detector = Detector::new(&format!("{}/{seed}", series.name), config);
    let names = ["value".to_owned()];
    let mut scored = Scored { onsets: Vec::new(), alarms: Vec::new(), memory: 0, spent: Duration::ZERO };
    let mut last_event = None;
    let started = ThreadTime::now();
    for (row, (&ts, &value)) in series.micros.iter().zip(&series.values).enumerate() {
        if detector.newest().is_some_and(|newest| ts <= newest) {
            // The engine does not give a detector late or repeated readings.
            scored.onsets.push(0.0);
            continue;
        }
        let detection = detector.apply(ts, &names, &[value]).with_context(|| format!("row {}", row + 1))?;
        scored.onsets.push(detection.onset);
        if let Some(event) = detection.event
            && last_event != Some(event.started)
        {
            last_event = Some(event.started);
            scored.alarms.push(row);
        }
    }
    scored.spent = started.elapsed();
    scored.memory = detector.memory_usage();
    Ok(scored)
}

/// Writes the scores of a series in the benchmark's layout.
pub(crate) fn write(folder: &Path, series: &Series, scored: &Scored) -> anyhow::Result<()> {
    let path = folder.join(&series.name);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let mut file = std::io::BufWriter::new(fs::File::create(&path)?);
    writeln!(file, "timestamp,anomaly_score")?;
    for (stamp, onset) in series.stamps.iter().zip(&scored.onsets) {
        writeln!(file, "{stamp},{onset}")?;
    }
    Ok(file.flush()?)
}
