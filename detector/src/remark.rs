//! Recognises, by the readings of a window, the fields that only count and those that repeat another
//! field.

use crate::standing::Remark;
use crate::window::WindowRow;

/// Readings that a field must have.
const LEAST_READINGS: usize = 16;
/// A field that only counts grows at all but one in this many readings.
const PAUSES: usize = 8;
/// Changes that a field and its repetition must have in common. Two contacts may move together by
/// chance.
const COMMON_CHANGES: usize = 8;
/// Tolerance of a repetition, as a part of the magnitudes: a few roundings of the device's arithmetic.
const ROUNDING: f64 = 1e-9;

/// Returns what is remarkable about each of the fields whose values the rows have.
pub(crate) fn remarks(fields: &[String], rows: &[WindowRow]) -> Vec<Option<Remark>> {
    let column = |index: usize| rows.iter().map(|row| row.values[index]).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = (0..fields.len()).map(column).collect();
    let mut remarks = Vec::with_capacity(fields.len());
    for (index, values) in columns.iter().enumerate() {
        let is_first = |&other: &usize| !matches!(remarks[other], Some(Remark::Repeats { .. }));
        let repeated = (0..index).filter(is_first).find(|&other| repeats(&columns[other], values));
        remarks.push(match repeated {
            Some(other) => Some(Remark::Repeats { field: fields[other].clone() }),
            None => counts(values).then_some(Remark::Counts),
        });
    }
    remarks
}

/// Returns whether the values only count: they never fall, and nearly each one is greater than the one
/// before.
fn counts(values: &[f64]) -> bool {
    let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let pairs = known.windows(2);
    let growths = pairs.clone().filter(|pair| pair[1] > pair[0]).count();
    known.len() >= LEAST_READINGS
        && pairs.clone().all(|pair| pair[1] >= pair[0])
        && PAUSES * (known.len() - 1 - growths) <= known.len()
}

/// Returns whether the second column is equal to the first, or an affine function of it.
#[allow(clippy::float_cmp, reason = "a change of any size is a change")]
fn repeats(first: &[f64], second: &[f64]) -> bool {
    let mut pairs = first.iter().zip(second).filter(|(a, b)| !a.is_nan() || !b.is_nan());
    let Some((&a0, &b0)) = pairs.next() else { return false };
    let mut line = None;
    let mut last = (a0, b0);
    let (mut changes, mut readings) = (0, 1);
    for (&a, &b) in pairs {
        let has_moved = (a != last.0, b != last.1);
        if has_moved.0 != has_moved.1 {
            return false;
        }
        if line.is_none() && a != a0 {
            line = Some((b - b0) / (a - a0));
        }
        let slope = line.unwrap_or(0.0);
        let expected = b0 + slope * (a - a0);
        let size = b.abs().max(b0.abs()).max((slope * a).abs()).max((slope * a0).abs());
        if a.is_nan() || b.is_nan() || (b - expected).abs() > ROUNDING * size {
            return false;
        }
        changes += usize::from(has_moved.0);
        readings += 1;
        last = (a, b);
    }
    changes >= COMMON_CHANGES && readings >= LEAST_READINGS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks_of(names: &str, count: usize, values: impl Fn(usize) -> Vec<f64>) -> Vec<String> {
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        let row = |i| WindowRow { ts: i as i64, after_silence: false, values: values(i) };
        let rows: Vec<WindowRow> = (0..count).map(row).collect();
        let text = |remark| match remark {
            None => String::new(),
            Some(Remark::Repeats { field }) => format!("repeats {field}"),
            Some(remark) => remark.name().to_owned(),
        };
        remarks(&names, &rows).into_iter().map(text).collect()
    }

    /// Returns a number that looks random, between 0 and 1.
    fn hash(i: usize) -> f64 {
        (i * 7_919 % 1_009) as f64 / 1_009.0
    }

    #[test]
    fn equal_fields_and_other_units_are_repetitions() {
        let shown = remarks_of("celsius fahrenheit kelvin other same", 256, |i| {
            let celsius = (200.0 + 50.0 * hash(i)).round() / 10.0;
            vec![celsius, 1.8 * celsius + 32.0, celsius + 273.15, hash(i + 1), celsius]
        });
        assert_eq!(shown, ["", "repeats celsius", "repeats celsius", "", "repeats celsius"]);
        let noisy = remarks_of("a b", 256, |i| vec![hash(i), hash(i) + 1e-6 * hash(i + 3)]);
        assert_eq!(noisy, ["", ""]);
        let by_turns = remarks_of("a b", 256, |i| {
            let mut values = vec![f64::NAN; 2];
            values[i % 2] = hash(i);
            values
        });
        assert_eq!(by_turns, ["", ""]);
        assert_eq!(remarks_of("a b", 256, |_| vec![1.0, 2.0]), ["", ""], "constants repeat nothing");
    }

    #[test]
    fn a_field_that_never_falls_and_nearly_always_grows_only_counts() {
        let shown = remarks_of("bytes errors level", 256, |i| {
            vec![1e6 + (i * 100) as f64 + 50.0 * hash(i), (i / 50) as f64, i as f64 + 30.0 * hash(i)]
        });
        assert_eq!(shown, ["counts", "", ""]);
        assert_eq!(remarks_of("a", 10, |i| vec![i as f64]), [""], "too few readings");
    }
}
