//! Lines of separated values (CSV), with the columns of the configuration: `1795345200;21,5;48`.
//!
//! Each line is rewritten as a JSON object, so that the rules for times, words, units and patterns
//! hold for it too. An empty cell is missing.

use std::sync::{Mutex, PoisonError};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::payload::{
    CsvRules, Measurement, PayloadDecoder, PayloadError, PayloadLimits, trim_end, without_mark,
};

const FORMAT: &str = "CSV";

/// Decodes lines of the same columns.
#[derive(Debug)]
pub(super) struct SeparatedValues {
    rules: CsvRules,
    /// Reused, because its tables take longer to build than a message to read. `Reader::clone` of
    /// `csv-core` 0.1.13 loses a part of them.
    reader: Mutex<Reader>,
}

impl SeparatedValues {
    pub(super) fn new(rules: CsvRules) -> Self {
        let reader = ReaderBuilder::new().delimiter(rules.separator).build();
        Self { rules, reader: Mutex::new(reader) }
    }

    /// Decodes lines. A line that cannot be read is an error in the place of its measurement.
    pub(super) fn decode(
        &self,
        payload: &[u8],
        limits: &PayloadLimits,
        objects: &PayloadDecoder,
    ) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        let columns = &self.rules.columns;
        if columns.is_empty() {
            return Err(malformed("mqtt.csv_columns names no column".to_owned()));
        }
        let payload = without_mark(payload);
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Lines::new(&mut reader, payload, columns.len());
        let mut outcomes = Vec::new();
        let mut object = Vec::new();
        while lines.advance() {
            if lines.cells().all(<[u8]>::is_empty) || is_header(&lines, columns) {
                continue;
            }
            if outcomes.len() == limits.max_readings {
                let (readings, limit) = (outcomes.len() + 1, limits.max_readings);
                return Err(PayloadError::TooManyReadings { readings, limit });
            }
            if lines.count != columns.len() {
                let (number, cells, columns) = (lines.number, lines.count, columns.len());
                outcomes.push(Err(malformed(format!(
                    "line {number} has {cells} cells, and mqtt.csv_columns names {columns}"
                ))));
                continue;
            }
            write_object(&mut object, &lines, columns);
            match objects.decode(&object) {
                Ok(measurements) => outcomes.extend(measurements),
                Err(error) => outcomes.push(Err(error)),
            }
        }
        if outcomes.is_empty() { Err(PayloadError::Empty) } else { Ok(outcomes) }
    }
}

/// The lines of a payload, one at a time.
struct Lines<'p> {
    reader: &'p mut Reader,
    rest: &'p [u8],
    /// The cells of the line, one after the other, without their quotes.
    text: Vec<u8>,
    /// Where each cell ends in `text`; only the first `count` count.
    ends: Vec<usize>,
    count: usize,
    /// The number of the line, from 1 on.
    number: u64,
}

impl<'p> Lines<'p> {
    fn new(reader: &'p mut Reader, payload: &'p [u8], columns: usize) -> Self {
        reader.reset();
        // The cells of a line are never longer than the payload. The reader asks for room for more.
        let text = vec![0; payload.len() + 1];
        Self { reader, rest: payload, text, ends: vec![0; columns + 1], count: 0, number: 0 }
    }

    /// Reads the next line. Returns whether there is one.
    fn advance(&mut self) -> bool {
        self.number = self.reader.line();
        let mut length = 0;
        self.count = 0;
        loop {
            let (text, ends) = (&mut self.text[length..], &mut self.ends[self.count..]);
            let (result, read, written, ended) = self.reader.read_record(self.rest, text, ends);
            self.rest = &self.rest[read..];
            length += written;
            self.count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => return true,
                ReadRecordResult::End => return false,
            }
        }
    }

    /// Returns the cells without blanks around them, and without the NULs that some senders put at
    /// the end of a line or a message.
    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.count];
        let begins = std::iter::once(&0).chain(ends);
        begins.zip(ends).map(|(begin, end)| trim_end(&self.text[*begin..*end]).trim_ascii_start())
    }
}

/// Whether a line repeats the names of the columns.
fn is_header(line: &Lines<'_>, columns: &[String]) -> bool {
    let is_name = |(cell, column): (&[u8], &String)| {
        column.is_empty() || cell.eq_ignore_ascii_case(column.trim().as_bytes())
    };
    line.count == columns.len()
        && columns.iter().any(|column| !column.is_empty())
        && line.cells().zip(columns).all(is_name)
}

fn write_object(object: &mut Vec<u8>, line: &Lines<'_>, columns: &[String]) {
    object.clear();
    object.push(b'{');
    for (cell, column) in line.cells().zip(columns).filter(|(_, column)| !column.is_empty()) {
        if object.len() > 1 {
            object.push(b',');
        }
        push_text(object, column.trim().as_bytes());
        object.push(b':');
        push_text(object, cell);
    }
    object.push(b'}');
}

/// Appends a JSON text. Bytes that are not UTF-8 stay: the rules for JSON say what they cost.
fn push_text(object: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    object.push(b'"');
    if text.iter().all(is_plain) {
        object.extend_from_slice(text);
    } else {
        for &byte in text {
            match byte {
                b'"' | b'\\' => object.extend_from_slice(&[b'\\', byte]),
                0..0x20 => object.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => object.push(byte),
            }
        }
    }
    object.push(b'"');
}

fn malformed(detail: String) -> PayloadError {
    PayloadError::Malformed { format: FORMAT, detail }
}

#[cfg(test)]
mod tests;
