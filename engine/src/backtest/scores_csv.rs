//! The new scores as a CSV file. The readings of a sensor are in order; the readings of several
//! sensors are mixed.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use csv::Writer;
use thicket_detector::Detection;
use thicket_schema::SensorName;
use thicket_store::postgres::StoredReading;

const HEADER: [&str; 7] = ["sensor", "ts", "score", "grade", "confidence", "onset", "anomaly"];

/// The file. All threads share it; each appends a page at a time.
#[derive(Debug)]
pub(super) struct ScoresFile(Mutex<Writer<File>>);

/// The lines of a page.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<[String; 7]>);

impl ScoresFile {
    /// Creates the file, or replaces it.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let unwritable = || format!("--out: {} cannot be written", path.display());
        let mut writer = Writer::from_path(path).with_context(unwritable)?;
        writer.write_record(HEADER).with_context(unwritable)?;
        Ok(Self(Mutex::new(writer)))
    }

    /// Appends lines and clears them.
    pub(super) fn append(&self, lines: &mut Lines) -> anyhow::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.0.drain(..) {
            writer.write_record(line).context("--out: the file cannot be written")?;
        }
        Ok(())
    }

    /// Writes the buffered lines.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.flush().context("--out: the file cannot be written")
    }
}

impl Lines {
    /// Adds a scored reading. The text of a number is read back as the same bits.
    pub(super) fn push(&mut self, sensor: &SensorName, reading: &StoredReading, detection: &Detection) {
        let Detection { score, grade, confidence, onset, anomaly, .. } = detection;
        self.0.push([
            sensor.to_string(),
            reading.ts.to_string(),
            score.to_string(),
            grade.map(|grade| grade.to_string()).unwrap_or_default(),
            confidence.to_string(),
            onset.to_string(),
            anomaly.to_string(),
        ]);
    }
}
