//! Readings in CSV files. The first column is the time, every other column a field. The name of the
//! file is that of the sensor.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use thicket_codecs::TimestampError;
use thicket_codecs::timestamp::{parse_epoch, parse_rfc3339};
use thicket_schema::{FieldSet, SensorName, Timestamp};
use thicket_store::postgres::StoredReading;

/// A file that is read page by page.
pub(super) struct CsvReadings {
    path: PathBuf,
    reader: Reader<File>,
    fields: FieldSet,
    /// The index of each field's value in a line, without the time.
    columns: Vec<usize>,
}

/// Returns the sensor of a file: the file's name without its extension.
pub(super) fn sensor_of(path: &Path) -> anyhow::Result<SensorName> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    SensorName::new(&stem).with_context(|| format!("{} names no sensor", path.display()))
}

/// Counts the lines of a file, including its header.
pub(super) fn count_lines(path: &Path) -> anyhow::Result<u64> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut file = BufReader::new(File::open(path).with_context(unreadable)?);
    let mut lines = 0;
    while file.skip_until(b'\n').with_context(unreadable)? > 0 {
        lines += 1;
    }
    Ok(lines)
}

impl CsvReadings {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = || format!("{}, line 1", path.display());
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(file);
        let header = reader.headers().with_context(place)?;
        if is_reading(header) {
            bail!("{}: the first line is a reading, but must be a header, such as time,level", place());
        }
        let names: Vec<String> = header.iter().skip(1).map(|name| unquoted(name).to_owned()).collect();
        let mut columns: Vec<usize> = (0..names.len()).collect();
        columns.sort_by(|&a, &b| names[a].cmp(&names[b]));
        let fields = FieldSet::from_unsorted(names).with_context(place)?;
        Ok(Self { path: path.to_owned(), reader, fields, columns })
    }

    /// Returns the next readings, at most `limit`; none at the end of the file.
    pub(super) fn page(&mut self, limit: usize) -> anyhow::Result<Vec<StoredReading>> {
        let mut readings = Vec::new();
        let mut record = StringRecord::new();
        while readings.len() < limit {
            let read = self.reader.read_record(&mut record);
            let line = record.position().map_or(self.reader.position().line(), csv::Position::line);
            let place = || format!("{}, line {line}", self.path.display());
            if !read.with_context(place)? {
                break;
            }
            if !is_blank(&record) {
                readings.push(self.reading(&record, line).with_context(place)?);
            }
        }
        Ok(readings)
    }

    fn reading(&self, record: &StringRecord, line: u64) -> anyhow::Result<StoredReading> {
        let mut cells = record.iter().map(unquoted);
        let ts = time(cells.next().unwrap_or_default())?;
        let cells: Vec<&str> = cells.collect();
        if cells.len() != self.columns.len() {
            bail!("{} values, but {} fields in the header", cells.len(), self.columns.len());
        }
        let values =
            self.columns.iter().map(|&column| value(cells[column])).collect::<anyhow::Result<_>>()?;
        // Only a poison reading has no seq, and a file has no poison readings.
        let (seq, fields) = (Some(line), self.fields.clone());
        Ok(StoredReading { ts, seq, config: None, era: 0, late: false, score: None, fields, values })
    }
}

/// Removes the quotes that the csv crate keeps: those of a cell that starts with a space.
fn unquoted(cell: &str) -> &str {
    cell.trim_matches('"')
}

/// Whether a line has a time and numbers, and no names.
fn is_reading(line: &StringRecord) -> bool {
    let mut cells = line.iter().map(unquoted);
    cells.next().is_some_and(|cell| time(cell).is_ok()) && cells.all(|cell| value(cell).is_ok())
}

/// Whether a line has nothing but spaces.
fn is_blank(record: &StringRecord) -> bool {
    record.len() == 1 && record.iter().all(str::is_empty)
}

/// Reads RFC 3339, in UTC if it has no offset, or a number since the Unix epoch.
fn time(text: &str) -> Result<Timestamp, TimestampError> {
    parse_rfc3339(text).or_else(|error| match error {
        TimestampError::NoOffset(_) => parse_rfc3339(&format!("{text}Z")),
        error => parse_epoch(text).map_err(|_| error),
    })
}

/// Reads a number. An empty cell is a missing value.
fn value(text: &str) -> anyhow::Result<f64> {
    if text.is_empty() {
        return Ok(f64::NAN);
    }
    text.parse().with_context(|| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<StoredReading>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        CsvReadings::open(file.path())?.page(100)
    }

    #[test]
    fn fields_are_sorted_and_empty_cells_missing() {
        let readings =
            read("time,pitch,\"level\"\r\n2026-11-22T10:00:00Z,400,50.5\r\n\r\n2026-11-22 10:00:01,,51\n1795345202,1,2\n")
                .unwrap();
        assert_eq!(readings[0].fields.names(), ["level", "pitch"]);
        assert_eq!(readings[0].values, [50.5, 400.0]);
        assert!(readings[1].values[1].is_nan());
        assert_eq!(readings[1].ts.0 - readings[0].ts.0, 1_000_000);
        assert_eq!(readings[2].ts, Timestamp(1_795_345_202_000_000));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let error = |text: &str| format!("{:#}", read(text).unwrap_err());
        assert!(error("time,a\n1795345202,1\n1795345203,x\n").contains("line 3: \"x\" is not a number"));
        assert!(error("time,a\nnoon,1\n").contains("line 2: not a time: noon"));
        assert!(error("time,a\n1795345202,1,2\n").contains("line 2: 2 values, but 1 fields"));
        assert!(error("time\n").contains("line 1"));
    }

    #[test]
    fn a_file_without_a_header_loses_no_reading() {
        for text in ["1795345201,1\n1795345202,2\n", "2026-11-22T10:00:00Z,1\n2026-11-22T10:00:01Z,2\n"] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains("line 1: the first line is a reading, but must be a header"), "{error}");
        }
        assert_eq!(read("2026,a\n1795345202,1\n").unwrap().len(), 1);
    }

    #[test]
    fn a_byte_order_mark_spaces_and_blank_lines_are_ignored() {
        let readings = read("\u{feff}time, \"a\"\n  \n 1795345202 , 1.5 \n").unwrap();
        assert_eq!(readings.len(), 1);
        assert_eq!(readings[0].fields.names(), ["a"]);
        assert_eq!(readings[0].values, [1.5]);
    }

    #[test]
    fn a_files_name_is_the_sensors() {
        assert_eq!(sensor_of(Path::new("/data/mic-7.csv")).unwrap().as_str(), "mic-7");
        assert!(sensor_of(Path::new("/data/a#b.csv")).is_err());
    }
}
