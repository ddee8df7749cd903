//! Numbers that are followed by their unit, such as `21.5 °C` or `12.3kWh`.

/// The units that are known. Sizes of memory and durations in hours or days are not among them:
/// devices show those in changing units.
pub const UNITS: &[&str] = &[
    "%", "%RH", "°", "°C", "°F", "℃", "℉", "C", "F", "K", "degC", "degF", "V", "mV", "kV", "A", "mA", "µA",
    "uA", "W", "mW", "kW", "MW", "Wh", "kWh", "MWh", "VA", "kVA", "VAh", "kVAh", "var", "kvar", "varh",
    "kvarh", "Ah", "mAh", "Hz", "kHz", "MHz", "GHz", "dB", "dBm", "dBA", "dB(A)", "Pa", "hPa", "kPa", "MPa",
    "bar", "mbar", "psi", "mmHg", "inHg", "lx", "lux", "lm", "cd", "ppm", "ppb", "µg/m³", "μg/m³", "µg/m3",
    "ug/m3", "mg/m³", "mg/m3", "g/m³", "g/m3", "mg/L", "mg/l", "mm", "cm", "m", "km", "m²", "m2", "m³", "m3",
    "in", "ft", "m/s", "km/h", "mph", "kn", "mm/s", "mm/h", "m/s²", "m/s2", "L", "l", "mL", "ml", "L/h",
    "l/h", "L/min", "l/min", "m³/h", "m3/h", "gal", "g", "kg", "t", "s", "ms", "µs", "us", "J", "kJ", "MJ",
    "rpm", "rad", "Ω", "ohm", "kΩ", "MΩ", "µS/cm", "uS/cm", "mS/cm", "µS", "uS", "W/m²", "W/m2", "N", "kN",
    "Nm", "µT", "uT", "mT", "µSv/h", "uSv/h", "Bq/m³", "Bq/m3", "pH", "NTU", "bpm",
];

/// Units of one letter that identifiers have too, as in room `3A`. They count after a blank or after
/// a number with a decimal point.
const AMBIGUOUS: &[&str] = &["A", "C", "F", "K", "m", "L", "l", "g", "t", "s", "J", "N"];

/// Returns the number of a text that is a number and a known unit.
pub(super) fn without_unit(text: &str) -> Option<&str> {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'+' | b'-');
    let end = text.bytes().position(|byte| !is_of_number(byte)).filter(|end| *end > 0)?;
    let (number, rest) = text.split_at(end);
    let unit = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}']);
    let is_distinct = unit.len() < rest.len() || number.contains(['.', ',']);
    let is_unit = UNITS.contains(&unit) && (is_distinct || !AMBIGUOUS.contains(&unit));
    (is_unit && number.ends_with(|last: char| last.is_ascii_digit())).then_some(number)
}

/// Returns a number with a decimal comma in the notation with a point. Points before the comma
/// separate groups of three digits. `None` if the text has no comma, or is no such number.
pub(super) fn with_point(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once(',')?;
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let mut groups = digits.split('.');
    let first = groups.next().unwrap_or_default();
    let is_grouped = groups.clone().next().is_some();
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = are_digits(first)
        && (!is_grouped || (1..=3).contains(&first.len()))
        && groups.all(|group| group.len() == 3 && are_digits(group))
        && are_digits(fraction)
        && !(first.is_empty() && fraction.is_empty());
    is_number.then(|| format!("{}.{fraction}", whole.replace('.', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_unit_after_a_number_is_dropped() {
        for (text, number) in [
            ("21.5 °C", "21.5"),
            ("230 V", "230"),
            ("230V", "230"),
            ("45%", "45"),
            ("12.3kWh", "12.3"),
            ("-3.5\u{a0}dBm", "-3.5"),
            ("21,5 °C", "21,5"),
            ("16 A", "16"),
            ("1.5A", "1.5"),
            ("5 µg/m³", "5"),
        ] {
            assert_eq!(without_unit(text), Some(number), "{text}");
        }
    }

    #[test]
    fn other_texts_after_a_number_are_no_units() {
        for text in [
            "3 cows",
            "3A",
            "12C",
            "4G",
            "2nd",
            "3 days",
            "5 GB",
            "1e3",
            "21.5",
            "V",
            "%",
            "12:30",
            "3.1.0-beta",
            "- V",
            "868 mhz",
            "10 V 3",
            "0x10",
            "",
        ] {
            let without = without_unit(text);
            assert!(without.is_none_or(|number| number.parse::<f64>().is_err()), "{text} {without:?}");
        }
    }

    #[test]
    fn a_decimal_comma_becomes_a_point() {
        for (text, number) in [
            ("21,5", "21.5"),
            ("-0,25", "-0.25"),
            ("1.234,5", "1234.5"),
            ("1.234.567,8", "1234567.8"),
            (",5", ".5"),
        ] {
            assert_eq!(with_point(text).as_deref(), Some(number), "{text}");
        }
        for text in ["21.5", "1,2,3", "1234.5,6", "1.23,4", "a,5", ",", "1,5e3", "1, 5"] {
            assert_eq!(with_point(text), None, "{text}");
        }
    }
}
