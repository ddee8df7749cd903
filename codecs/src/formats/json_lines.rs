//! JSON lines: a JSON value on each line.

use crate::payload::{Measurement, PayloadDecoder, PayloadError, PayloadLimits, trim_end, without_mark};

/// Returns the lines that are not blank. Some senders put a record separator (RFC 7464) before each.
fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let payload = without_mark(payload);
    let lines = payload.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| {
        let line = line.trim_ascii_start();
        trim_end(line.strip_prefix(b"\x1e").unwrap_or(line)).trim_ascii_start()
    });
    lines.filter(|line| !line.is_empty())
}

/// Whether the payload has several lines, and the first is a JSON object by itself.
pub(super) fn are_json_lines(payload: &[u8], values: &PayloadDecoder) -> bool {
    let mut lines = lines(payload);
    let first = lines.next().filter(|first| first.starts_with(b"{"));
    let is_json = |line| !matches!(values.decode(line), Err(PayloadError::MalformedJson { .. }));
    lines.next().is_some() && first.is_some_and(is_json)
}

/// Decodes lines. A line that cannot be read is an error in the place of its measurements.
pub(super) fn decode(
    payload: &[u8],
    limits: &PayloadLimits,
    values: &PayloadDecoder,
) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
    let mut outcomes = Vec::new();
    for line in lines(payload) {
        match values.decode(line) {
            Ok(measurements) => outcomes.extend(measurements),
            Err(error) => outcomes.push(Err(error)),
        }
        if outcomes.len() > limits.max_readings {
            let (readings, limit) = (outcomes.len(), limits.max_readings);
            return Err(PayloadError::TooManyReadings { readings, limit });
        }
    }
    if outcomes.is_empty() { Err(PayloadError::Empty) } else { Ok(outcomes) }
}
