//! Lines of separated values (CSV), with the columns of the configuration: `1795345200;21,5;48`.
//!
//! Each line is rewritten as a JSON object, so that the rules for times, words, units and patterns
//! hold for it too. An empty cell is missing.

use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::payload::{CsvRules, Measurement, PayloadDecoder, PayloadError, PayloadLimits};

const FORMAT: &str = "CSV";

/// Decodes lines. A line that cannot be read is an error in the place of its measurement.
pub(super) fn decode(
    payload: &[u8],
    rules: &CsvRules,
    limits: &PayloadLimits,
    objects: &PayloadDecoder,
) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    if rules.columns.is_empty() {
        return Err(malformed("mqtt.csv_columns names no column".to_owned()));
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(rules.separator)
        .from_reader(payload);
    let mut outcomes = Vec::new();
    let mut line = ByteRecord::new();
    let mut object = String::new();
    loop {
        match reader.read_byte_record(&mut line) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(malformed(error.to_string())),
        }
        if line.iter().all(<[u8]>::is_empty) || is_header(&line, rules) {
            continue;
        }
        if outcomes.len() == limits.max_readings {
            let (readings, limit) = (outcomes.len() + 1, limits.max_readings);
            return Err(PayloadError::TooManyReadings { readings, limit });
        }
        if line.len() != rules.columns.len() {
            let number = line.position().map_or(0, csv::Position::line);
            let (cells, columns) = (line.len(), rules.columns.len());
            outcomes.push(Err(malformed(format!(
                "line {number} has {cells} cells, and mqtt.csv_columns names {columns}"
            ))));
            continue;
        }
        write_object(&mut object, &line, rules);
        match objects.decode(object.as_bytes()) {
            Ok(measurements) => outcomes.extend(measurements),
            Err(error) => outcomes.push(Err(error)),
        }
    }
    if outcomes.is_empty() { Err(PayloadError::Empty) } else { Ok(outcomes) }
}

/// Whether a line repeats the names of the columns.
fn is_header(line: &ByteRecord, rules: &CsvRules) -> bool {
    let is_name = |(cell, column): (&[u8], &String)| {
        column.is_empty() || cell.eq_ignore_ascii_case(column.trim().as_bytes())
    };
    line.len() == rules.columns.len()
        && rules.columns.iter().any(|column| !column.is_empty())
        && line.iter().zip(&rules.columns).all(is_name)
}

fn write_object(object: &mut String, line: &ByteRecord, rules: &CsvRules) {
    object.clear();
    object.push('{');
    for (cell, column) in line.iter().zip(&rules.columns).filter(|(_, column)| !column.is_empty()) {
        if object.len() > 1 {
            object.push(',');
        }
        push_text(object, column.trim());
        object.push(':');
        push_text(object, &String::from_utf8_lossy(cell));
    }
    object.push('}');
}

fn push_text(object: &mut String, text: &str) {
    let is_plain = |byte: u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    if text.bytes().all(is_plain) {
        object.push('"');
        object.push_str(text);
        object.push('"');
    } else {
        object.push_str(&serde_json::Value::from(text).to_string());
    }
}

fn malformed(detail: String) -> PayloadError {
    PayloadError::Malformed { format: FORMAT, detail }
}

#[cfg(test)]
mod tests;
