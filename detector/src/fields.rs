//! Which of a reading's named values make the point.

use crate::config::MAX_FIELDS;
use crate::detection::Rejected;

/// Decides the fields of a sensor from its configuration, or else from its first reading.
pub(crate) fn choose(configured: Vec<String>, names: &[String]) -> Result<Vec<String>, Rejected> {
    let fields = if configured.is_empty() { names.to_vec() } else { configured };
    if fields.is_empty() || fields.len() > MAX_FIELDS {
        return Err(Rejected::FieldCount(fields.len()));
    }
    Ok(fields)
}

/// Copies the values of `fields` into `row`. Both lists of names are sorted, so one walk over them is enough.
pub(crate) fn select(
    fields: &[String],
    names: &[String],
    values: &[f64],
    row: &mut Vec<f64>,
) -> Result<(), Rejected> {
    row.clear();
    let mut named = names.iter().zip(values);
    for field in fields {
        let Some((_, &value)) = named.find(|(name, _)| *name == field) else {
            return Err(Rejected::MissingField(field.clone()));
        };
        if !value.is_finite() {
            return Err(Rejected::NotFinite(field.clone()));
        }
        row.push(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_reading_decides_unless_fields_are_configured() {
        assert_eq!(choose(Vec::new(), &names("a b")), Ok(names("a b")));
        assert_eq!(choose(names("b"), &names("a b")), Ok(names("b")));
        assert_eq!(choose(Vec::new(), &[]), Err(Rejected::FieldCount(0)));
    }

    #[test]
    fn select_takes_the_fields_and_ignores_the_others() {
        let mut row = Vec::new();
        assert_eq!(select(&names("b d"), &names("a b c d"), &[1.0, 2.0, 3.0, 4.0], &mut row), Ok(()));
        assert_eq!(row, [2.0, 4.0]);
    }

    #[test]
    fn a_missing_or_impossible_value_is_refused_by_name() {
        let mut row = Vec::new();
        let missing = select(&names("a c"), &names("a b d"), &[1.0, 2.0, 3.0], &mut row);
        assert_eq!(missing, Err(Rejected::MissingField("c".into())));
        let infinite = select(&names("a"), &names("a"), &[f64::INFINITY], &mut row);
        assert_eq!(infinite, Err(Rejected::NotFinite("a".into())));
    }
}
