//! The new scores as a CSV file. The readings of a sensor are in order; the readings of several
//! sensors are mixed.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use csv::Writer;
use thicket_detector::Detection;
use thicket_schema::SensorName;
use thicket_store::postgres::StoredReading;

use crate::partial_file::PartialFile;
use crate::usage::WrongUsage;

const HEADER: [&str; 7] = ["sensor", "ts", "score", "grade", "confidence", "onset", "anomaly"];

const UNWRITABLE: &str = "--out: the file cannot be written";

/// The file. All threads share it; each appends a page at a time.
#[derive(Debug)]
pub(super) struct ScoresFile {
    writer: Mutex<Writer<File>>,
    /// `None` for a pipe or a device.
    names: Option<PartialFile>,
}

/// The lines of a page.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<[String; 7]>);

impl ScoresFile {
    /// Creates the file. One that has its name already stays until all is scored.
    ///
    /// # Errors
    /// Fails if the file cannot be written, or if it is one of `inputs`.
    pub(super) fn create(path: &Path, inputs: &[&Path]) -> anyhow::Result<Self> {
        let found = std::fs::metadata(path).ok();
        let is_found = |input: &&&Path| {
            let input = std::fs::metadata(input).ok();
            let id = |file: &Metadata| (file.dev(), file.ino());
            found.as_ref().map(id).is_some_and(|found| input.as_ref().map(id) == Some(found))
        };
        if let Some(input) = inputs.iter().find(is_found) {
            let (out, input) = (path.display(), input.display());
            return Err(
                WrongUsage(format!("--out {out} is {input}, which is read; name another file")).into()
            );
        }
        let unwritable = || format!("--out: {} cannot be written", path.display());
        let (names, file) = if found.is_none_or(|found| found.is_file()) {
            // A link stays, and leads to the new scores.
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let (names, file) = PartialFile::create(&path, 0o666).with_context(unwritable)?;
            (Some(names), file)
        } else {
            (None, OpenOptions::new().write(true).open(path).with_context(unwritable)?)
        };
        let mut writer = Writer::from_writer(file);
        writer.write_record(HEADER).with_context(unwritable)?;
        Ok(Self { writer: Mutex::new(writer), names })
    }

    /// Appends lines and clears them.
    pub(super) fn append(&self, lines: &mut Lines) -> anyhow::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.0.drain(..) {
            writer.write_record(line).context(UNWRITABLE)?;
        }
        Ok(())
    }

    /// Writes the buffered lines, and gives the file its name.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.flush().context(UNWRITABLE)?;
        let Some(names) = &self.names else { return Ok(()) };
        names.finish(writer.get_ref()).context(UNWRITABLE)
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
