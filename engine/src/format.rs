//! Texts that every command formats alike: numbers, counts, sizes and causes.

pub(crate) use thicket_notify::words::{cause, number};

/// Formats a count and its noun. The plural of the noun ends in s.
pub(crate) fn count(number_of: impl Into<i128>, noun: &str) -> String {
    let number_of = number_of.into();
    if number_of == 1 { format!("1 {noun}") } else { format!("{number_of} {noun}s") }
}

/// Formats a number that is measured or estimated: three digits, and no exponent for a small one.
pub(crate) fn rough(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.001 => "less than 0.001".to_owned(),
        ..0.1 => number((value * 1e3).round() / 1e3),
        ..10.0 => number((value * 1e2).round() / 1e2),
        ..100.0 => number((value * 1e1).round() / 1e1),
        _ => format!("{value:.0}"),
    }
}

/// Formats a number that is measured or estimated, like [`rough`], and its noun.
pub(crate) fn rough_count(value: f64, noun: &str) -> String {
    let number = rough(value);
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
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
    use super::*;

    #[test]
    fn rough_numbers_are_rounded_and_have_no_exponent() {
        let shown = [0.0, 1.317e-5, 0.0123, 0.1667, 4.0, 80.794, 1234.56, 2e10].map(rough);
        assert_eq!(shown, ["0", "less than 0.001", "0.012", "0.17", "4", "80.8", "1235", "20000000000"]);
    }

    #[test]
    fn counts_and_sizes_are_short() {
        assert_eq!([1, 2].map(|readings| count(readings, "reading")), ["1 reading", "2 readings"]);
        let rough = [1.0, 1.001, 0.1667, 60.0].map(|cores| rough_count(cores, "core"));
        assert_eq!(rough, ["1 core", "1 core", "0.17 cores", "60 cores"]);
        assert_eq!([1_500.0, 2.5e6, 3e9].map(bytes), ["2 KB", "2.5 MB", "3.0 GB"]);
    }
}
