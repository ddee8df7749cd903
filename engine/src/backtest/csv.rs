//! Readings in CSV files. The first column is the time, every other column a field. The name of the
//! file is that of the sensor. Times and values are read as in messages.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use thicket_codecs::payload::value_of_word;
use thicket_codecs::timestamp::parse_lenient;
use thicket_codecs::{LocalZone, TimestampError};
use thicket_schema::text::excerpt;
use thicket_schema::{FieldSet, SensorName, Timestamp};
use thicket_store::postgres::StoredReading;

use super::scorer::Counts;

/// Names of a column that holds the time, in lower case.
const TIME_NAMES: [&str; 5] = ["ts", "time", "timestamp", "datetime", "date"];

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

/// Counts the lines of a file, including its header. A pipe can be read only once: it counts as
/// empty.
pub(super) fn count_lines(path: &Path) -> anyhow::Result<u64> {
    let unreadable = || format!("{} cannot be read", path.display());
    if !path.metadata().with_context(unreadable)?.is_file() {
        return Ok(0);
    }
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
        check_header(header).with_context(place)?;
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
            if record.iter().any(|cell| cell.contains('\n')) {
                bail!("{}: a cell goes on in the next line; is a quote not closed?", place());
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

/// Fails if the first line does not name the time and the fields.
fn check_header(header: &StringRecord) -> anyhow::Result<()> {
    let cells: Vec<&str> = header.iter().map(unquoted).collect();
    let [first, fields @ ..] = cells.as_slice() else {
        bail!("the file is empty; its first line must be a header, such as time,level");
    };
    let is_number = |cell: &&str| cell.is_empty() || cell.parse::<f64>().is_ok();
    if time(first).is_ok() && fields.iter().all(is_number) {
        bail!("the first line is a reading, but must be a header, such as time,level");
    }
    if fields.is_empty() {
        let separators = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];
        let found = separators.iter().find(|(sign, _)| first.contains(*sign));
        let found = found.map(|(_, name)| format!(", and {name} between names are not read"));
        bail!(
            "the first line has one column, {:?}; the names of the time and of the fields need commas between \
             them, such as time,level{}",
            excerpt(first),
            found.unwrap_or_default()
        );
    }
    let is_time = |name: &&&str| TIME_NAMES.iter().any(|time| time.eq_ignore_ascii_case(name));
    if first.is_empty()
        && let Some(time) = fields.iter().find(is_time)
    {
        bail!(
            "the first column must be the time, but has no name, and a later one is named {time}; leave out the \
             first one (with pandas: index=False)"
        );
    }
    Ok(())
}

/// Fails if most readings of a file were skipped, because they are not newer than the one before.
pub(super) fn check_order(path: &Path, counts: &Counts) -> anyhow::Result<()> {
    let (late, all) = (counts.late, counts.all());
    if late * 2 > all {
        bail!(
            "{}: {late} of {all} readings are not newer than the one before, and cannot be scored; sort the lines by \
             their time, the oldest first",
            path.display()
        );
    }
    Ok(())
}

/// Whether a line has nothing but spaces.
fn is_blank(record: &StringRecord) -> bool {
    record.len() == 1 && record.iter().all(str::is_empty)
}

/// Reads a time, in UTC if it has no offset.
fn time(text: &str) -> Result<Timestamp, TimestampError> {
    parse_lenient(text, Some(LocalZone::UTC))
}

/// Reads a number, or a word for a number or for a missing value, such as an empty cell.
fn value(text: &str) -> anyhow::Result<f64> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        number => value_of_word(text)
            .or(number.ok())
            .with_context(|| format!("{:?} is not a number", excerpt(text))),
    }
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
        for (text, words) in [
            ("", "line 1: the file is empty"),
            ("time\n1795345202\n", "line 1: the first line has one column, \"time\""),
            ("time;a\n1795345202;1,5\n", "semicolons between names are not read"),
            ("time\ta\n1795345202\t1\n", "tabs between names are not read"),
            (",time,a\n0,1795345202,1\n", "a later one is named time; leave out"),
            ("time,a\n1795345202,\"1\n1795345203,2\n", "line 2: a cell goes on in the next line"),
        ] {
            assert!(error(text).contains(words), "{}", error(text));
        }
        let long = format!("time,a\n1795345202,{}\n", "x".repeat(10_000));
        assert!(error(&long).len() < 300);
    }

    #[test]
    fn times_and_words_are_read_as_in_messages() {
        let readings = read(
            "time,a\n2026-11-22 11:00:00.5+00,NA\n2026/11/22 11:00:01,true\n20261122T110002Z,OFF\n\
             2026-11-22 12:00:03+01,null\n,1\n",
        );
        assert!(format!("{:#}", readings.unwrap_err()).contains("line 6"), "a time is needed");
        let readings = read(
            "time,a\n2026-11-22 11:00:00.5+00,NA\n2026/11/22 11:00:01,true\n20261122T110002Z,OFF\n\
             2026-11-22 12:00:03+01,null\n",
        );
        let read: Vec<(i64, String)> =
            readings.unwrap().iter().map(|read| (read.ts.0, read.values[0].to_string())).collect();
        let first = 1_795_345_200_000_000;
        let expected = [(500_000, "NaN"), (1_000_000, "1"), (2_000_000, "0"), (3_000_000, "NaN")];
        assert_eq!(read, expected.map(|(after, value)| (first + after, value.to_owned())));
        // The index of a data frame may be the time.
        assert_eq!(self::read(",a\n1795345202,1\n").unwrap().len(), 1);
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
