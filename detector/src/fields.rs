//! Copies the fields of a reading that make the point.

use crate::detection::Rejected;

/// Copies the values of `fields` into `row`, with NaN for a missing field. Returns how many fields
/// are present. Both lists of names are sorted, so one walk over them is enough.
pub(crate) fn select(
    fields: &[String],
    names: &[String],
    values: &[f64],
    row: &mut Vec<f64>,
) -> Result<usize, Rejected> {
    row.clear();
    let mut named = names.iter().zip(values).peekable();
    let mut known = 0;
    for field in fields {
        while named.next_if(|(name, _)| *name < field).is_some() {}
        let value = named.next_if(|(name, _)| *name == field).map_or(f64::NAN, |(_, &value)| value);
        if value.is_infinite() {
            return Err(Rejected::NotFinite(field.clone()));
        }
        known += usize::from(!value.is_nan());
        row.push(value);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn fields_are_found_by_name_and_missing_ones_are_not_a_number() {
        let mut row = Vec::new();
        assert_eq!(select(&names("a c"), &names("a b c"), &[1.0, 2.0, 3.0], &mut row), Ok(2));
        assert_eq!(row, [1.0, 3.0]);
        assert_eq!(select(&names("a b d"), &names("b c"), &[2.0, 3.0], &mut row), Ok(1));
        assert!(row[0].is_nan() && row[1] == 2.0 && row[2].is_nan());
    }

    #[test]
    fn an_infinite_value_is_rejected() {
        let mut row = Vec::new();
        assert_eq!(select(&names("a b"), &names("c"), &[1.0], &mut row), Ok(0));
        assert_eq!(select(&names("a b"), &names("a"), &[f64::NAN], &mut row), Ok(0));
        let infinite = select(&names("a"), &names("a"), &[f64::INFINITY], &mut row);
        assert_eq!(infinite, Err(Rejected::NotFinite("a".to_owned())));
    }
}
