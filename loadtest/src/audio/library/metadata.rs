//! Reads `metadata/UrbanSound8K.csv`, the table of the clips.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::error::LibraryError;
use crate::sound_class::SoundClass;

/// The path of the table under the data set's root.
pub(super) const PATH: &str = "metadata/UrbanSound8K.csv";

/// The part of a clip's row that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipMetadata {
    /// `[fsID]-[classID]-[occurrenceID]-[sliceID].wav`
    pub file_name: String,
    /// Whether the salience is 1 (foreground).
    pub foreground: bool,
    /// 1 to 10.
    pub fold: u8,
    /// The class of the sound.
    pub class: SoundClass,
}

/// Why a table is not valid: the line, counted from 1, and what is wrong.
type BadLine = (usize, String);

/// Reads the table. Finds columns by their names, in any order.
pub(super) fn read(path: &Path) -> Result<Vec<ClipMetadata>, LibraryError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| LibraryError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|(line, detail)| LibraryError::BadTable { path: path.to_owned(), line, detail })
}

fn parse(text: &str) -> Result<Vec<ClipMetadata>, BadLine> {
    // `flexible`: rows may lack columns that are not used. The reader skips a byte order mark.
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| (1, error.to_string()))?.clone();
    if header.is_empty() {
        return Err((1, "the table is empty".to_owned()));
    }
    let columns = Columns::find(&header)?;
    let mut clips = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| (line_of(text, error.position()), error.to_string()))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let clip = columns.clip(&record).map_err(|detail| (line_of(text, record.position()), detail))?;
        clips.push(clip);
    }
    Ok(clips)
}

/// Returns the line of a record, counted from 1. The reader's own count is too low after `\r\n` and
/// after empty lines: its position is before the line ends that it skips.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let start = position.map_or(0, |position| position.byte() as usize).min(text.len());
    let (before, rest) = text.as_bytes().split_at(start);
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    1 + before.iter().chain(skipped).filter(|byte| **byte == b'\n').count()
}

/// The indices of the columns that are used.
struct Columns<'a> {
    header: &'a StringRecord,
    file_name: usize,
    salience: usize,
    fold: usize,
    class: usize,
}

impl<'a> Columns<'a> {
    fn find(header: &'a StringRecord) -> Result<Self, BadLine> {
        let column = |name: &str| {
            header.iter().position(|found| found == name).ok_or((1, format!("the column {name} is missing")))
        };
        Ok(Self {
            header,
            file_name: column("slice_file_name")?,
            salience: column("salience")?,
            fold: column("fold")?,
            class: column("classID")?,
        })
    }

    fn clip(&self, record: &StringRecord) -> Result<ClipMetadata, String> {
        let file_name = cell(record, self.file_name)?.to_owned();
        if file_name.is_empty() || file_name.contains(['/', '\\']) {
            return Err(format!("{file_name:?} is not a file name"));
        }
        let id = self.number(record, self.class)?;
        Ok(ClipMetadata {
            file_name,
            foreground: self.number(record, self.salience)? == 1,
            fold: self.number(record, self.fold)?,
            class: SoundClass::from_id(id).ok_or(format!("classID {id} is not one of the ten"))?,
        })
    }

    fn number(&self, record: &StringRecord, column: usize) -> Result<u8, String> {
        let text = cell(record, column)?;
        text.parse().map_err(|_| format!("{} is {text:?}, not a small number", &self.header[column]))
    }
}

fn cell(record: &StringRecord, column: usize) -> Result<&str, String> {
    record.get(column).ok_or("the row is too short".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENUINE: &str = "slice_file_name,fsID,start,end,salience,fold,classID,class\n\
        100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n\
        100263-2-0-117.wav,100263,58.5,62.5,2,5,2,children_playing\n";

    #[test]
    fn the_genuine_table_is_read() {
        let clips = parse(GENUINE).unwrap();
        assert_eq!(clips.len(), 2);
        assert_eq!(
            clips[0],
            ClipMetadata {
                file_name: "100032-3-0-0.wav".into(),
                foreground: true,
                fold: 5,
                class: SoundClass::DogBark
            }
        );
        assert!(!clips[1].foreground);
    }

    #[test]
    fn line_ends_quotes_and_column_order_do_not_matter() {
        let text = "\u{feff}classID,fold,salience,slice_file_name\r\n\"3\",5,1,\"100032-3-0-0.wav\"\r\n\r\n";
        assert_eq!(parse(text).unwrap(), parse(GENUINE).unwrap()[..1]);
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let refusal = |from: &str, to: &str| parse(&GENUINE.replace(from, to)).unwrap_err();
        assert_eq!(refusal("salience", "volume"), (1, "the column salience is missing".to_owned()));
        assert_eq!(refusal(",2,5,2,", ",2,5,12,").0, 3);
        assert_eq!(refusal(",2,5,2,", ",loud,5,2,").1, "salience is \"loud\", not a small number");
        assert_eq!(refusal("100263-2", "../etc/2").0, 3);
        assert_eq!(refusal(",5,2,children_playing", ""), (3, "the row is too short".to_owned()));
        assert_eq!(parse("").unwrap_err().0, 1);
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let bad = GENUINE.replace(",2,5,2,", ",2,5,12,");
        assert_eq!(parse(&bad.replace('\n', "\r\n")).unwrap_err().0, 3);
        assert_eq!(parse(&format!("\u{feff}{}", bad.replace('\n', "\r\n"))).unwrap_err().0, 3);
        assert_eq!(parse(&bad.replace("dog_bark\n", "dog_bark\n\n\n")).unwrap_err().0, 5);
    }
}
