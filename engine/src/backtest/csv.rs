//! Readings in CSV files: the first column is the time, every other a field; the file's name is the sensor's.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use thicket_actors::messages::StoredReading;
use thicket_schema::timestamp::{parse_epoch, parse_rfc3339};
use thicket_schema::{FieldSet, SensorName, Timestamp, TimestampError};

/// A file that is being read.
pub(super) struct CsvReadings {
    path: PathBuf,
    lines: std::io::Lines<BufReader<File>>,
    line: usize,
    fields: FieldSet,
    /// For each field in order, its column.
    columns: Vec<usize>,
}

/// The sensor of a file: its name without the ending.
pub(super) fn sensor_of(path: &Path) -> anyhow::Result<SensorName> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    SensorName::new(&stem).with_context(|| format!("{} names no sensor", path.display()))
}

/// Lines of a file, its head included.
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
    /// Opens a file and reads its head.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = || format!("{}, line 1", path.display());
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut lines = BufReader::new(file).lines();
        let head = lines.next().transpose()?.unwrap_or_default();
        let names: Vec<String> = cells(&head).skip(1).map(str::to_owned).collect();
        let mut columns: Vec<usize> = (0..names.len()).collect();
        columns.sort_by(|&a, &b| names[a].cmp(&names[b]));
        let fields = FieldSet::from_unsorted(names).with_context(place)?;
        Ok(Self { path: path.to_owned(), lines, line: 1, fields, columns })
    }

    /// The next readings; none at the end of the file.
    pub(super) fn page(&mut self, most: usize) -> anyhow::Result<Vec<StoredReading>> {
        let mut readings = Vec::new();
        while readings.len() < most {
            let Some(line) = self.lines.next() else { break };
            self.line += 1;
            let place = || format!("{}, line {}", self.path.display(), self.line);
            let line = line.with_context(place)?;
            if !line.trim().is_empty() {
                readings.push(self.reading(&line).with_context(place)?);
            }
        }
        Ok(readings)
    }

    fn reading(&self, line: &str) -> anyhow::Result<StoredReading> {
        let mut cells = cells(line);
        let ts = time(cells.next().unwrap_or_default())?;
        let cells: Vec<&str> = cells.collect();
        if cells.len() != self.columns.len() {
            bail!("{} values, but {} fields in the head", cells.len(), self.columns.len());
        }
        let values =
            self.columns.iter().map(|&column| value(cells[column])).collect::<anyhow::Result<_>>()?;
        // It counts as one that was scored: only poison has no number.
        Ok(StoredReading {
            ts,
            seq: Some(self.line as u64),
            config: None,
            score: None,
            fields: self.fields.clone(),
            values,
        })
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim_end_matches('\r').trim_start_matches('\u{feff}');
    line.split(',').map(|cell| cell.trim().trim_matches('"'))
}

/// RFC 3339, without an offset in UTC, or the time since 1970 as a number.
fn time(text: &str) -> Result<Timestamp, TimestampError> {
    parse_rfc3339(text).or_else(|error| match error {
        TimestampError::NoOffset(_) => parse_rfc3339(&format!("{text}Z")),
        error => parse_epoch(text).map_err(|_| error),
    })
}

/// A number; an empty cell is a missing value.
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
    fn a_files_name_is_the_sensors() {
        assert_eq!(sensor_of(Path::new("/data/mic-7.csv")).unwrap().as_str(), "mic-7");
        assert!(sensor_of(Path::new("/data/a#b.csv")).is_err());
    }
}
