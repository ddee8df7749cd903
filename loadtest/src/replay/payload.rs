//! Encodes readings as JSON: `{"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,…}`.

use std::{fmt::Write as _, sync::LazyLock};

use crate::{audio::FIELDS, scenario::Reading, time};

/// The text `,"name":` for each field.
static KEYS: LazyLock<[String; FIELDS.len()]> =
    LazyLock::new(|| FIELDS.map(|field| format!(",\"{field}\":")));

/// Encodes one reading as an object, several as an array.
pub(super) fn encode(readings: &[Reading]) -> Vec<u8> {
    let mut text = String::with_capacity(320 * readings.len());
    if let [reading] = readings {
        object(&mut text, reading);
        return text.into_bytes();
    }
    text.push('[');
    for (n, reading) in readings.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        object(&mut text, reading);
    }
    text.push(']');
    text.into_bytes()
}

fn object(text: &mut String, reading: &Reading) {
    text.push_str("{\"ts\":\"");
    text.push_str(&time::format(reading.ts));
    text.push('"');
    for (key, value) in KEYS.iter().zip(reading.values) {
        text.push_str(key);
        // `Display` writes the shortest text that parses to the same bits.
        let _ = write!(text, "{value}");
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use thicket_codecs::PayloadDecoder;

    use super::*;

    fn reading(frame: u64) -> Reading {
        let mut values = [0.0; FIELDS.len()];
        for (n, value) in values.iter_mut().enumerate() {
            *value = (n as f64 + frame as f64).sqrt() * if n % 2 == 0 { 17.3 } else { -1e-7 };
        }
        Reading { sensor: 0, frame, ts: 1_795_341_600_123_000 + frame as i64, values }
    }

    #[test]
    fn a_decoder_gets_the_very_bits() {
        let decoder = PayloadDecoder::default();
        for count in [1, 2, 50] {
            let readings: Vec<Reading> = (0..count).map(reading).collect();
            let decoded = decoder.decode(&encode(&readings)).unwrap();
            assert_eq!(decoded.len(), readings.len());
            for (got, sent) in decoded.into_iter().zip(&readings) {
                let got = got.unwrap();
                assert_eq!(got.ts.unwrap().as_micros(), sent.ts);
                assert!(got.fields.names().iter().eq(FIELDS.iter()));
                let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
                assert_eq!(bits(&got.values), bits(&sent.values));
            }
        }
    }

    #[test]
    fn the_text_is_what_the_documentation_shows() {
        let mut one = reading(0);
        (one.ts, one.values) = (1_795_341_600_000_000, [52.31; FIELDS.len()]);
        let text = String::from_utf8(encode(&[one])).unwrap();
        assert!(text.starts_with(r#"{"ts":"2026-11-22T10:00:00.000000Z","band_1000_db":52.31,"#), "{text}");
        assert!(text.ends_with(r#","laeq_db":52.31,"peak_db":52.31,"zcr":52.31}"#), "{text}");
    }
}
