//! Appends to a manifest and to the file of its events.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    error::ManifestError,
    events::{self, InjectedEvent},
    format::{Body, Disposition, MAGIC, SensorRecord, VERSION},
};

/// Writes a manifest. Records reach the file when the buffer is full or at
/// [`ManifestWriter::flush`]. A killed process loses the records in the buffer; the records before
/// them stay readable.
pub struct ManifestWriter {
    path: PathBuf,
    file: BufWriter<File>,
    events_path: PathBuf,
    events: BufWriter<File>,
    body: Body,
}

impl ManifestWriter {
    /// Creates a manifest. The file must not exist.
    pub fn create(path: &Path) -> Result<Self, ManifestError> {
        let events_path = events::path_of(path);
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 17, create(path)?),
            path: path.to_owned(),
            events: BufWriter::new(create(&events_path)?),
            events_path,
            body: Body::default(),
        };
        let header = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        writer.file.write_all(&header).map_err(|source| writer.failed(source))?;
        Ok(writer)
    }

    /// Writes the description of a sensor. Call it before the sensor's first message.
    pub fn sensor(&mut self, sensor: &SensorRecord) -> Result<(), ManifestError> {
        self.body.sensor(sensor);
        self.append()
    }

    /// Writes a confirmed message with readings: their event times in µs and their values.
    pub fn message<'a>(
        &mut self,
        disposition: Disposition,
        sensor: u32,
        readings: impl ExactSizeIterator<Item = (i64, &'a [f64])>,
    ) -> Result<(), ManifestError> {
        self.body.message(disposition, sensor, readings);
        self.append()
    }

    /// Writes a confirmed malformed message.
    pub fn malformed(&mut self, topic: &str, payload: &[u8]) -> Result<(), ManifestError> {
        self.body.malformed(topic, payload);
        self.append()
    }

    /// Writes the wall clock, in µs since the Unix epoch.
    pub fn clock(&mut self, micros: i64) -> Result<(), ManifestError> {
        self.body.clock(micros);
        self.append()
    }

    /// Writes an event whose first reading was confirmed.
    pub fn event(&mut self, event: &InjectedEvent) -> Result<(), ManifestError> {
        event.write_line(&mut self.events).map_err(|source| ManifestError::File {
            action: "write",
            path: self.events_path.clone(),
            source,
        })
    }

    /// Hands all buffered records to the operating system.
    pub fn flush(&mut self) -> Result<(), ManifestError> {
        self.events.flush().map_err(|source| ManifestError::File {
            action: "write",
            path: self.events_path.clone(),
            source,
        })?;
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn append(&mut self) -> Result<(), ManifestError> {
        let (prefix, body) = self.body.framed();
        let outcome = self.file.write_all(&prefix).and_then(|()| self.file.write_all(body));
        outcome.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ManifestError {
        ManifestError::File { action: "write", path: self.path.clone(), source }
    }
}

fn create(path: &Path) -> Result<File, ManifestError> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ManifestError::Exists { path: path.to_owned() },
        _ => ManifestError::File { action: "write", path: path.to_owned(), source },
    })
}
