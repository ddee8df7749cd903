//! Numbers and causes in words, the same in every command.

use serde::Serialize;
use thicket_detector::Cause;

/// One field's part in an anomaly, as commands and the HTTP API show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Why {
    /// Which field.
    pub(crate) field: String,
    /// Its share of the score, 0 to 1.
    pub(crate) share: f64,
    /// What came; NaN, in JSON null, where the field was missing.
    pub(crate) actual: f64,
    /// What was expected, and between what.
    pub(crate) expected: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl From<&Cause> for Why {
    fn from(cause: &Cause) -> Self {
        let Cause { field, share, actual, expected, low, high, .. } = cause;
        Self {
            field: field.clone(),
            share: *share,
            actual: *actual,
            expected: *expected,
            low: *low,
            high: *high,
        }
    }
}

impl Why {
    /// What came and what was expected, in words.
    pub(crate) fn words(&self) -> String {
        let Self { field, actual, low, high, .. } = self;
        format!("{field} was {}, expected {} to {}", number(*actual), number(*low), number(*high))
    }
}

/// Sorts causes, those with the greatest share first.
pub(crate) fn by_share(mut causes: Vec<Why>) -> Vec<Why> {
    causes.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.field.cmp(&b.field)));
    causes
}

/// A number for people: three decimals at most, or an exponent where these would say nothing.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "missing".to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(0.001..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// So many of something, whose plural ends in s.
pub(crate) fn count(count: impl Into<i128>, what: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Bytes for people.
pub(crate) fn bytes(count: f64) -> String {
    match count {
        1e9.. => format!("{:.1} GB", count / 1e9),
        1e6.. => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.0} KB", count / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let shown = [71.0, 0.08, -1.23456, 1e-5, 0.0, 2.5e12, f64::NAN].map(number);
        assert_eq!(shown, ["71", "0.08", "-1.235", "1.000e-5", "0", "2.500e12", "missing"]);
        assert_eq!([1, 2].map(|readings| count(readings, "reading")), ["1 reading", "2 readings"]);
        assert_eq!([1_500.0, 2.5e6, 3e9].map(bytes), ["2 KB", "2.5 MB", "3.0 GB"]);
    }

    #[test]
    fn a_cause_says_what_came_and_what_was_expected() {
        let field = "laeq_db".to_owned();
        let why = Why { field, share: 1.0, actual: 71.0, expected: 44.0, low: 40.0, high: 48.0 };
        assert_eq!(why.words(), "laeq_db was 71, expected 40 to 48");
    }
}
