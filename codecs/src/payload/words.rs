//! Texts that stand for a number, and texts that stand for no value.

use std::collections::{BTreeMap, HashMap};

use super::units::{with_point, without_unit};

/// The words that are read as numbers, in lower case. The case of a text does not matter.
pub const WORDS: &[(&str, f64)] = &[
    ("on", 1.0),
    ("off", 0.0),
    ("true", 1.0),
    ("false", 0.0),
    ("yes", 1.0),
    ("no", 0.0),
    ("open", 1.0),
    ("opened", 1.0),
    ("closed", 0.0),
    ("close", 0.0),
    ("online", 1.0),
    ("offline", 0.0),
    ("connected", 1.0),
    ("disconnected", 0.0),
    ("detected", 1.0),
    ("not_detected", 0.0),
    ("clear", 0.0),
    ("motion", 1.0),
    ("no_motion", 0.0),
    ("occupied", 1.0),
    ("unoccupied", 0.0),
    ("present", 1.0),
    ("absent", 0.0),
    ("home", 1.0),
    ("not_home", 0.0),
    ("locked", 1.0),
    ("unlocked", 0.0),
    ("lock", 1.0),
    ("unlock", 0.0),
    ("active", 1.0),
    ("inactive", 0.0),
    ("enabled", 1.0),
    ("disabled", 0.0),
    ("wet", 1.0),
    ("dry", 0.0),
];

/// The words for no value, in lower case, with the spellings of NaN and infinity.
const MISSING: &[&str] = &[
    "",
    "-",
    "--",
    "null",
    "nil",
    "none",
    "n/a",
    "na",
    "undefined",
    "unavailable",
    "unknown",
    "nan",
    "+nan",
    "-nan",
    "nan(ind)",
    "-nan(ind)",
    "1.#qnan",
    "-1.#qnan",
    "1.#ind",
    "-1.#ind",
    "1.#inf",
    "-1.#inf",
    "inf",
    "+inf",
    "-inf",
    "infinity",
    "+infinity",
    "-infinity",
];

/// Returns what a word stands for without the words of a configuration: a number, or NaN for no
/// value. `None` if it is no such word. The case does not matter.
pub fn value_of_word(text: &str) -> Option<f64> {
    let is = |word: &str| word.eq_ignore_ascii_case(text);
    let number = WORDS.iter().find(|(word, _)| is(word)).map(|(_, value)| *value);
    number.or_else(|| MISSING.iter().any(|word| is(word)).then_some(f64::NAN))
}

/// Longest text that is looked up. Longer ones are prose.
const MAX_WORD_BYTES: usize = 64;
/// Digits of a whole number in a text from which on it is an identifier, such as an EUI-64.
const IDENTIFIER_DIGITS: usize = 16;

/// What a text stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Number(f64),
    /// The sensor has no value now.
    Missing,
    /// A whole number of so many digits that it is an identifier.
    Identifier,
    /// A number beyond the range of a 64-bit float.
    NotFinite,
    /// Any other text.
    Text,
}

/// The table of words. The value of a word for no value is NaN.
pub(super) struct Words {
    table: HashMap<Box<str>, f64>,
    decimal_comma: bool,
    units: bool,
}

impl Words {
    pub(super) fn new(additional: &BTreeMap<String, f64>) -> Self {
        let missing = MISSING.iter().map(|word| ((*word).into(), f64::NAN));
        let shipped = WORDS.iter().map(|(word, value)| ((*word).into(), *value));
        let additional = additional.iter().map(|(word, value)| (word.trim().to_lowercase().into(), *value));
        let table = missing.chain(shipped).chain(additional).collect();
        Self { table, decimal_comma: false, units: false }
    }

    /// Sets whether numbers may have a decimal comma, and whether a known unit may follow a number.
    pub(super) fn with_numbers(self, decimal_comma: bool, units: bool) -> Self {
        Self { decimal_comma, units, ..self }
    }

    /// Returns what a text stands for. Blanks around it do not matter.
    #[inline(never)]
    pub(super) fn meaning(&self, text: &str) -> Meaning {
        let text = text.trim();
        match number(text) {
            Some(meaning) => meaning,
            None => match self.value(text) {
                Some(value) if value.is_finite() => Meaning::Number(value),
                Some(_) => Meaning::Missing,
                None => self.written(text, self.decimal_comma),
            },
        }
    }

    /// Returns whether a text would be a number if a decimal comma were allowed.
    pub(super) fn is_number_with_comma(&self, text: &str) -> bool {
        !self.decimal_comma && matches!(self.written(text.trim(), true), Meaning::Number(_))
    }

    /// Reads a number with its unit, or with a decimal comma.
    fn written(&self, text: &str, decimal_comma: bool) -> Meaning {
        let number_alone = if self.units { without_unit(text) } else { None };
        let with_point = if decimal_comma { with_point(number_alone.unwrap_or(text)) } else { None };
        let written = with_point.as_deref().or(number_alone);
        written.and_then(number).unwrap_or(Meaning::Text)
    }

    fn value(&self, word: &str) -> Option<f64> {
        let mut lower = [0; MAX_WORD_BYTES];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        let lower = std::str::from_utf8(lower).ok()?;
        if let Some(value) = self.table.get(lower) {
            return Some(*value);
        }
        // A word of the configuration may have letters whose case ASCII does not know.
        if lower.is_ascii() { None } else { self.table.get(lower.to_lowercase().as_str()).copied() }
    }
}

/// Reads a text that is wholly a decimal number; `None` for other texts. A `+`, leading zeros, and a
/// point at either end are allowed. An exponent needs a point before it or a sign: `1e203` may be
/// hexadecimal digits.
fn number(text: &str) -> Option<Meaning> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust also reads `inf` and `nan`.
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some((mantissa, exponent)) = digits.split_once(['e', 'E'])
        && !mantissa.contains('.')
        && !exponent.starts_with(['+', '-'])
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    Some(if !value.is_finite() {
        Meaning::NotFinite
    } else if digits.len() >= IDENTIFIER_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Meaning::Identifier
    } else {
        Meaning::Number(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Meaning {
        Words::new(&BTreeMap::new()).meaning(text)
    }

    #[test]
    fn a_text_that_is_wholly_a_number_is_that_number() {
        for (text, value) in [
            ("21.5", 21.5),
            (" 21.5\t", 21.5),
            ("00052.4071", 52.4071),
            ("+3", 3.0),
            ("-0.5", -0.5),
            ("1.5e3", 1_500.0),
            ("1e+05", 100_000.0),
            ("1E-7", 1e-7),
            (".5", 0.5),
            ("5.", 5.0),
            ("007", 7.0),
        ] {
            assert_eq!(meaning(text), Meaning::Number(value), "{text}");
        }
        for text in
            ["21.5 C", "1,5", "0x10", "12:30", "1_000", "1.2.3", "3.1.0-beta", "868 MHz", "²", "e5", "+"]
        {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
        assert_eq!(meaning("1e+999"), Meaning::NotFinite);
    }

    #[test]
    fn an_exponent_without_a_point_or_a_sign_is_a_hexadecimal_digit() {
        for text in ["01e203", "0e67", "1e2", "-1e2", "5E10", "1e999", "12e3 V"] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
    }

    #[test]
    fn a_text_of_sixteen_digits_is_an_identifier() {
        for text in ["0200000000000007", "9007199254740993", "-12345678901234567890"] {
            assert_eq!(meaning(text), Meaning::Identifier, "{text}");
        }
        assert_eq!(meaning("123456789012345"), Meaning::Number(123_456_789_012_345.0));
        assert_eq!(meaning("1.0000000000000001"), Meaning::Number(1.0));
    }

    #[test]
    fn words_are_read_in_any_case() {
        for (word, value) in WORDS {
            assert_eq!(meaning(word), Meaning::Number(*value));
            assert_eq!(meaning(&format!(" {} ", word.to_uppercase())), Meaning::Number(*value));
        }
        for text in ["ok", "idle", "no error", "on fire", &"on".repeat(64)] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
    }

    #[test]
    fn words_for_no_value_are_missing() {
        for text in
            ["", "  ", "-", "None", "N/A", "Unavailable", "unknown", "NaN", "-Infinity", "-1.#IND", "NULL"]
        {
            assert_eq!(meaning(text), Meaning::Missing, "{text}");
        }
    }

    #[test]
    fn the_table_can_be_extended_and_overridden() {
        let additional =
            [("Läuft", 1.0), ("stopped", 0.0), ("open", 100.0), ("clear", f64::NAN), ("unknown", 2.0)];
        let words = Words::new(&additional.map(|(word, value)| (word.to_owned(), value)).into());
        for (text, value) in
            [("LÄUFT", 1.0), ("Stopped", 0.0), ("OPEN", 100.0), ("unknown", 2.0), ("closed", 0.0)]
        {
            assert_eq!(words.meaning(text), Meaning::Number(value), "{text}");
        }
        assert_eq!(words.meaning("clear"), Meaning::Missing);
    }
}
