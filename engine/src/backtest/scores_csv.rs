//! The new scores as a CSV file. Readings of a sensor are in order; sensors take turns.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use thicket_actors::messages::StoredReading;
use thicket_detector::Detection;
use thicket_schema::SensorName;

/// The file. Shared by all threads, which bring pages.
#[derive(Debug)]
pub(super) struct ScoresFile(Mutex<BufWriter<File>>);

/// Lines for the file.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl ScoresFile {
    /// Makes the file, in place of one that is there.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let unwritable = || format!("--out: {} cannot be written", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(unwritable)?);
        writeln!(file, "sensor,ts,score,grade,confidence,onset,anomaly").with_context(unwritable)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Appends lines and empties them.
    pub(super) fn append(&self, lines: &mut Lines) -> anyhow::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(lines.0.as_bytes()).context("--out: the file cannot be written")?;
        lines.0.clear();
        Ok(())
    }

    /// Writes what is still held back.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().context("--out: the file cannot be written")
    }
}

impl Lines {
    /// Adds a scored reading. Numbers are written so that they read back as the same bits.
    pub(super) fn push(&mut self, sensor: &SensorName, reading: &StoredReading, detection: &Detection) {
        let Detection { score, grade, confidence, onset, anomaly, .. } = detection;
        let grade = grade.map(|grade| grade.to_string()).unwrap_or_default();
        let (sensor, ts) = (quoted(sensor.as_str()), reading.ts);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{sensor},{ts},{score},{grade},{confidence},{onset},{anomaly}");
    }
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
