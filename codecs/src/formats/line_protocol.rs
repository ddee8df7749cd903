//! `InfluxDB` line protocol: `weather,site=north temp=21.5,open=true 1795345200000000000`.
//!
//! The device is the series: the measurement, and the tags in the order of their names, as in
//! `weather,site=north`. It does not depend on what else the message holds, so two series never
//! become one sensor. Numbers are fields, booleans are 0 and 1. Strings and whole numbers beyond
//! 2^53 are left out. Lines of one series and time are one measurement.

use std::borrow::Cow;

use influxdb_line_protocol::{Error, FieldValue, ParsedLine, parse_lines, split_lines};
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::rows::{Rows, Time};
use crate::payload::{MAX_EXACT, Measurement, PayloadError, PayloadLimits, trimmed};
use crate::series;

const FORMAT: &str = "line protocol";

/// Whether any line with data follows the rules of line protocol. Its measurement must have no `=`:
/// such lines are logs, as in `level=info count=3`.
pub(super) fn is_line_protocol(text: &str) -> bool {
    let is_line = |line: ParsedLine<'_>| !line.series.measurement.as_str().contains('=');
    text.contains('=') && parse(text).filter_map(Result::ok).any(is_line)
}

/// Parses lines. Their parser does not know carriage returns.
fn parse(text: &str) -> impl Iterator<Item = Result<ParsedLine<'_>, Error>> {
    split_lines(text).flat_map(|line| parse_lines(line.strip_suffix('\r').unwrap_or(line)))
}

/// Returns the lines with a time for each line that has none. Times before the floor are no times.
pub(super) fn with_time(text: &str, time: Timestamp, floor: Timestamp) -> String {
    let timed = split_lines(text).map(|line| {
        let line = line.trim_ascii();
        let parsed = parse_lines(line).next().and_then(Result::ok);
        let values = match parsed.map(|line| line.timestamp) {
            Some(None) => line,
            Some(Some(number)) if is_no_time(number, floor) => {
                line.rsplit_once(' ').map_or(line, |(values, _)| values)
            }
            _ => return line.to_owned(),
        };
        format!("{values} {}", i128::from(time.0) * 1_000)
    });
    timed.collect::<Vec<String>>().join("\n")
}

/// Decodes lines. A line that cannot be read is an error in the place of its measurement. Times before
/// the floor are no times.
pub(super) fn decode(
    payload: &[u8],
    limits: &PayloadLimits,
    floor: Timestamp,
) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
    let text = std::str::from_utf8(trimmed(payload))
        .map_err(|error| malformed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Err(PayloadError::Empty);
    }
    let mut rows = Rows::new(limits);
    for line in parse(text) {
        let added = match line {
            Ok(line) => add(&mut rows, &line, floor),
            Err(error) => Err(malformed(excerpt(&error.to_string()))),
        };
        if let Err(error) = added {
            rows.fail(error);
        }
    }
    rows.finish()
}

fn is_no_time(number: i64, floor: Timestamp) -> bool {
    matches!(Time::since_epoch(&number.to_string(), floor), Ok(Time::Offset(_)))
}

fn add(rows: &mut Rows<'_>, line: &ParsedLine<'_>, floor: Timestamp) -> Result<(), PayloadError> {
    let time = match line.timestamp {
        None => Time::Offset(0),
        Some(number) => Time::since_epoch(&number.to_string(), floor)?,
    };
    let device = device(line);
    for (name, value) in &line.field_set {
        let value = match value {
            FieldValue::I64(value) if value.unsigned_abs() <= MAX_EXACT => *value as f64,
            FieldValue::U64(value) if *value <= MAX_EXACT => *value as f64,
            FieldValue::F64(value) => *value,
            FieldValue::Boolean(value) => f64::from(u8::from(*value)),
            // A 64-bit float would round the whole number.
            FieldValue::I64(_) | FieldValue::U64(_) | FieldValue::String(_) => continue,
        };
        rows.add(Some(&device), time, name.to_string(), value);
    }
    Ok(())
}

/// Returns the series of a line, with its tags in the order of their names.
fn device<'a>(line: &'a ParsedLine<'_>) -> Cow<'a, str> {
    let measurement = series::part(line.series.measurement.as_str());
    let Some(tags) = &line.series.tag_set else { return measurement };
    let tag = |name: &str, value: &str| format!(",{}", series::tag(name, value));
    let mut tags: Vec<String> = tags.iter().map(|(name, value)| tag(name.as_str(), value.as_str())).collect();
    tags.sort();
    Cow::Owned(format!("{measurement}{}", tags.concat()))
}

fn malformed(detail: String) -> PayloadError {
    PayloadError::Malformed { format: FORMAT, detail }
}
