//! Reads a manifest from its beginning to its end.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    error::ManifestError,
    format::{self, MAGIC, MAX_BODY_BYTES, PREFIX_BYTES, Record, VERSION},
};

/// Iterates over the records of a manifest. The iteration ends at the end of the file, or after the
/// last whole record if the writer was killed.
pub struct ManifestReader {
    path: PathBuf,
    file: BufReader<File>,
    /// The number of values per reading, by the sensor's index.
    widths: HashMap<u32, usize>,
    offset: u64,
    torn: bool,
    body: Vec<u8>,
}

impl ManifestReader {
    /// Opens a manifest and checks its header.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let failed = |source| ManifestError::File { action: "read", path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
        let mut header = [0; 12];
        let read = read_up_to(&mut file, &mut header).map_err(failed)?;
        let expected = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        // A writer that was killed at the start leaves only a part of the header.
        if header[..read] != expected[..read] || (read == 0 && path.is_dir()) {
            return Err(ManifestError::NotAManifest { path: path.to_owned() });
        }
        let torn = read < header.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            widths: HashMap::new(),
            offset: read as u64,
            torn,
            body: Vec::new(),
        })
    }

    /// Returns whether the file ended within a record, which means that its writer was killed.
    pub fn torn(&self) -> bool {
        self.torn
    }

    fn next_record(&mut self) -> Result<Option<Record>, ManifestError> {
        if self.torn {
            return Ok(None);
        }
        let mut prefix = [0; PREFIX_BYTES];
        match read_up_to(&mut self.file, &mut prefix).map_err(|source| self.failed(source))? {
            0 => return Ok(None),
            PREFIX_BYTES => {}
            _ => return Ok(self.end_here()),
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = prefix;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_BODY_BYTES {
            return Err(self.damaged("a record has an impossible length"));
        }
        self.body.resize(length, 0);
        if read_up_to(&mut self.file, &mut self.body).map_err(|source| self.failed(source))? < length {
            return Ok(self.end_here());
        }
        if format::checksum(&self.body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(self.damaged("the checksum of a record is wrong"));
        }
        let record = format::decode(&self.body, |sensor| self.widths.get(&sensor).copied())
            .map_err(|detail| self.damaged(detail))?;
        if let Record::Sensor(sensor) = &record {
            self.widths.insert(sensor.index, sensor.fields.len());
        }
        self.offset += (PREFIX_BYTES + length) as u64;
        Ok(Some(record))
    }

    fn end_here(&mut self) -> Option<Record> {
        self.torn = true;
        None
    }

    fn damaged(&self, detail: &'static str) -> ManifestError {
        ManifestError::Damaged { path: self.path.clone(), offset: self.offset, detail }
    }

    fn failed(&self, source: io::Error) -> ManifestError {
        ManifestError::File { action: "read", path: self.path.clone(), source }
    }
}

impl Iterator for ManifestReader {
    type Item = Result<Record, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

/// Fills the buffer until it is full or the file ends. Returns the number of bytes read.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
