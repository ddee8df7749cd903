//! Appends to a ledger and its labels.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    Disposition, Label, LedgerError, SensorRecord,
    format::{Body, MAGIC, VERSION},
    labels,
};

/// Writes a ledger. Records reach the file when the buffer fills or at [`LedgerWriter::flush`]; a kill in between costs
/// records at the end, never the readability of those before.
pub struct LedgerWriter {
    path: PathBuf,
    file: BufWriter<File>,
    labels_path: PathBuf,
    labels: BufWriter<File>,
    body: Body,
}

impl LedgerWriter {
    /// Creates a ledger, which must not exist yet.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let labels_path = labels::path_of(path);
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 17, create(path)?),
            path: path.to_owned(),
            labels: BufWriter::new(create(&labels_path)?),
            labels_path,
            body: Body::default(),
        };
        let header = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        writer.file.write_all(&header).map_err(|source| writer.failed(source))?;
        Ok(writer)
    }

    /// Introduces a sensor; needed before its first message.
    pub fn sensor(&mut self, sensor: &SensorRecord) -> Result<(), LedgerError> {
        self.body.sensor(sensor);
        self.append()
    }

    /// Notes a confirmed message with readings.
    pub fn message<'a>(
        &mut self,
        disposition: Disposition,
        sensor: u32,
        readings: impl ExactSizeIterator<Item = (i64, &'a [f64])>,
    ) -> Result<(), LedgerError> {
        self.body.message(disposition, sensor, readings);
        self.append()
    }

    /// Notes a confirmed message without meaning.
    pub fn malformed(&mut self, topic: &str, payload: &[u8]) -> Result<(), LedgerError> {
        self.body.malformed(topic, payload);
        self.append()
    }

    /// Notes the wall clock, in µs since the Unix epoch.
    pub fn clock(&mut self, micros: i64) -> Result<(), LedgerError> {
        self.body.clock(micros);
        self.append()
    }

    /// Notes an event whose first reading was published.
    pub fn label(&mut self, label: &Label) -> Result<(), LedgerError> {
        label.write_line(&mut self.labels).map_err(|source| LedgerError::File {
            action: "write",
            path: self.labels_path.clone(),
            source,
        })
    }

    /// Hands everything to the operating system.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        self.labels.flush().map_err(|source| LedgerError::File {
            action: "write",
            path: self.labels_path.clone(),
            source,
        })?;
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn append(&mut self) -> Result<(), LedgerError> {
        let (prefix, body) = self.body.framed();
        let outcome = self.file.write_all(&prefix).and_then(|()| self.file.write_all(body));
        outcome.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::File { action: "write", path: self.path.clone(), source }
    }
}

fn create(path: &Path) -> Result<File, LedgerError> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => LedgerError::Exists { path: path.to_owned() },
        _ => LedgerError::File { action: "write", path: path.to_owned(), source },
    })
}
