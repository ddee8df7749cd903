//! Causes of anomalies, times and durations as text.

use chrono::SecondsFormat;
use thicket_detector::Cause;
use thicket_schema::Timestamp;

/// Formats a cause: the value and the band that was expected of it, or how long the field has repeated
/// its value, or has been away from the one at which it rests.
pub fn cause(of: &Cause) -> String {
    let Cause { field, actual, expected, low, high, is_counter, repeated, away, .. } = of;
    if *repeated > 0 {
        let what = match (is_counter, *actual) {
            (true, 0.0) => format!("{field} did not grow"),
            (true, actual) => format!("{field} grew by {} a second", number(actual)),
            (false, actual) => format!("{field} stayed at {}", number(actual)),
        };
        return format!("{what} for {repeated} readings, far longer than before");
    }
    if *away > 0 {
        let what = match (is_counter, *expected) {
            (true, 0.0) => format!("{field} has grown without a pause"),
            (true, rest) => format!("{field} has not grown by {} a second", number(rest)),
            (false, rest) => format!("{field} has not been at {}", number(rest)),
        };
        return format!("{what} for {away} readings, far longer than before");
    }
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
pub fn number(value: f64) -> String {
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

/// Formats a time as RFC 3339 in UTC, with as many decimals as it has.
pub fn time(time: Timestamp) -> String {
    time.to_datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Formats a duration in its two largest units, such as `2h 5m`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let units = [("d", whole / 86_400), ("h", whole / 3_600 % 24), ("m", whole / 60 % 60), ("s", whole % 60)];
    let parts: Vec<String> = units
        .iter()
        .skip_while(|(_, count)| *count == 0)
        .take(2)
        .filter(|(_, count)| *count > 0)
        .map(|(unit, count)| format!("{count}{unit}"))
        .collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use thicket_detector::Direction;

    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let shown = [71.0, 0.08, -1.23456, 1e-5, 0.0, 2.5e12, f64::NAN].map(number);
        assert_eq!(shown, ["71", "0.08", "-1.235", "1.000e-5", "0", "2.500e12", "missing"]);
    }

    #[test]
    fn durations_have_two_units() {
        let shown = [0.4, 59.0, 60.0, 7_509.0, 86_400.0 * 3.0 + 59.0].map(duration);
        assert_eq!(shown, ["0s", "59s", "1m", "2h 5m", "3d"]);
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
            repeated: 0,
            away: 0,
        };
        assert_eq!(cause(&shown), "laeq_db was 71, expected 40 to 48");
        shown.is_counter = true;
        assert_eq!(cause(&shown), "laeq_db grew by 71 a second, expected 40 to 48");
        shown.actual = -2.0;
        assert_eq!(cause(&shown), "laeq_db fell by 2 a second, expected to grow by 40 to 48");
        shown.actual = f64::NAN;
        assert_eq!(cause(&shown), "laeq_db fell or was missing, expected to grow by 40 to 48 a second");

        (shown.repeated, shown.actual) = (61, 0.0);
        assert_eq!(cause(&shown), "laeq_db did not grow for 61 readings, far longer than before");
        shown.actual = 5.0;
        assert_eq!(cause(&shown), "laeq_db grew by 5 a second for 61 readings, far longer than before");
        shown.is_counter = false;
        assert_eq!(cause(&shown), "laeq_db stayed at 5 for 61 readings, far longer than before");

        (shown.repeated, shown.away, shown.expected) = (0, 245, 0.0);
        assert_eq!(cause(&shown), "laeq_db has not been at 0 for 245 readings, far longer than before");
        shown.is_counter = true;
        assert_eq!(
            cause(&shown),
            "laeq_db has grown without a pause for 245 readings, far longer than before"
        );
        shown.expected = 2.0;
        assert_eq!(
            cause(&shown),
            "laeq_db has not grown by 2 a second for 245 readings, far longer than before"
        );
    }
}
