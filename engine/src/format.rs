//! Texts that every command formats alike: numbers, counts, sizes and causes.

use thicket_detector::Cause;

/// Formats a cause: the value and the band that was expected of it.
pub(crate) fn cause(of: &Cause) -> String {
    let Cause { field, actual, low, high, is_counter, .. } = of;
    let band = format!("{} to {}", number(*low), number(*high));
    match (is_counter, *actual) {
        (false, actual) => format!("{field} was {}, expected {band}", number(actual)),
        (true, actual) if actual.is_nan() => {
            format!("{field} fell or was missing, expected to grow by {band} a second")
        }
        (true, actual) if actual < 0.0 => {
            format!("{field} fell by {} a second, expected to grow by {band}", number(-actual))
        }
        (true, actual) => format!("{field} grew by {} a second, expected {band}", number(actual)),
    }
}

/// Formats a number: at most three decimals, or an exponent where three decimals would show too
/// little.
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

/// Formats a count and its noun. The plural of the noun ends in s.
pub(crate) fn count(number_of: impl Into<i128>, noun: &str) -> String {
    let number_of = number_of.into();
    if number_of == 1 { format!("1 {noun}") } else { format!("{number_of} {noun}s") }
}

/// Formats a number of bytes.
pub(crate) fn bytes(count: f64) -> String {
    match count {
        1e9.. => format!("{:.1} GB", count / 1e9),
        1e6.. => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.0} KB", count / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use thicket_detector::Direction;

    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let shown = [71.0, 0.08, -1.23456, 1e-5, 0.0, 2.5e12, f64::NAN].map(number);
        assert_eq!(shown, ["71", "0.08", "-1.235", "1.000e-5", "0", "2.500e12", "missing"]);
        assert_eq!([1, 2].map(|readings| count(readings, "reading")), ["1 reading", "2 readings"]);
        assert_eq!([1_500.0, 2.5e6, 3e9].map(bytes), ["2 KB", "2.5 MB", "3.0 GB"]);
    }

    #[test]
    fn a_cause_shows_the_value_and_what_was_expected() {
        let field = "laeq_db".to_owned();
        let direction = Direction::High;
        let mut shown = Cause {
            field,
            share: 1.0,
            actual: 71.0,
            expected: 44.0,
            low: 40.0,
            high: 48.0,
            direction,
            is_counter: false,
        };
        assert_eq!(cause(&shown), "laeq_db was 71, expected 40 to 48");
        shown.is_counter = true;
        assert_eq!(cause(&shown), "laeq_db grew by 71 a second, expected 40 to 48");
        shown.actual = -2.0;
        assert_eq!(cause(&shown), "laeq_db fell by 2 a second, expected to grow by 40 to 48");
        shown.actual = f64::NAN;
        assert_eq!(cause(&shown), "laeq_db fell or was missing, expected to grow by 40 to 48 a second");
    }
}
