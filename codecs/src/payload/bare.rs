//! Reads a payload that is neither an object nor an array: a number, a word, or another text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::PayloadError;
use super::left_out::{LeftOut, LeftOutReason};
use super::object::Scratch;
use super::times::unquoted;
use super::types::Measurement;
use super::walk::value_of;
use super::words::{Meaning, Words};

/// Reads a payload as the field `value`.
pub(super) fn value(scratch: &mut Scratch, text: &str, words: &Words) -> Result<Measurement, PayloadError> {
    let field = || "value".to_owned();
    let (text, error) = match serde_json::from_str::<&RawValue>(text).map(RawValue::get) {
        Ok(number) if number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            return match value_of(number) {
                Ok(value) => scratch.bare(value),
                Err(LeftOutReason::NotFinite) => Err(PayloadError::NotFinite { field: field() }),
                Err(reason) => Err(PayloadError::no_field(&[LeftOut { path: field(), reason }])),
            };
        }
        Ok(quoted) if quoted.starts_with('"') => (unquoted(quoted), None),
        Ok(word) => (Cow::Borrowed(word), None),
        Err(error) => (Cow::Borrowed(text), Some(error)),
    };
    let meaning = words.meaning(&text);
    match meaning {
        // These two tell of the connection, not of a measurement.
        Meaning::Number(value)
            if !["online", "offline"].iter().any(|word| text.eq_ignore_ascii_case(word)) =>
        {
            scratch.bare(value)
        }
        _ => Err(match error {
            None => PayloadError::NotAReading,
            Some(error) if !is_plain_text(&text) => PayloadError::malformed(&error),
            Some(_) if meaning == Meaning::Missing => PayloadError::no_value(&text),
            Some(_) => PayloadError::plain_text(&text, words.is_number_with_comma(&text)),
        }),
    }
}

/// Whether a payload that is not JSON is a text without quotes, and neither a text that is cut nor
/// binary data.
fn is_plain_text(text: &str) -> bool {
    !text.starts_with('"') && !text.contains(|c: char| c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use crate::payload::{PayloadDecoder, PayloadRules};

    fn error(payload: &str) -> String {
        PayloadDecoder::default().decode(payload.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_called_no_number_whatever_it_begins_with() {
        for text in ["21.5 ºC", "5 min", "#FFAA00", "2026-11-28T10:00:00Z", "no error", "1e2f", "1 2"] {
            let expected = format!("the text {text:?} is no number; mqtt.words gives a word its value");
            assert_eq!(error(text), format!("malformed JSON: {expected}"));
        }
        for text in ["\"x", "{", "[1"] {
            assert!(error(text).contains("at line 1 column"), "{text}: {}", error(text));
        }
    }

    #[test]
    fn only_words_lead_to_the_words() {
        for text in ["21.5,48.0", "temp=21.5,hum=48", "temp=21.5", "t {21.5}", r#"{"a":"{\"t\":21.5}"}"#] {
            assert!(!error(text).contains("mqtt.words"), "{}", error(text));
        }
        assert!(error("21.5,48.0").contains("mqtt.csv_columns"), "{}", error("21.5,48.0"));
        assert!(error(r#"{"a":"high"}"#).contains("mqtt.words"));
    }

    #[test]
    fn a_decimal_comma_leads_to_its_setting() {
        for text in ["21,5", "1.234,5", "21,5 °C", r#"{"t":"21,5","u":"C"}"#, r#"{"t":"21,5 °C"}"#] {
            assert!(error(text).contains("mqtt.decimal_comma"), "{}", error(text));
            let rules = PayloadRules { decimal_comma: true, ..PayloadRules::default() };
            assert!(PayloadDecoder::default().with_rules(rules).decode(text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["1,2,3", "a,b", "21,5 cows"] {
            assert!(!error(text).contains("mqtt.decimal_comma"), "{}", error(text));
        }
    }

    #[test]
    fn a_word_for_no_value_is_named_as_one() {
        for text in ["nan", "NaN", "unavailable", "-"] {
            assert!(error(text).contains("no value now"), "{}", error(text));
        }
    }
}
