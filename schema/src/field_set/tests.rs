use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_id_never_changes() {
    let fields = FieldSet::new(names(&["centroid_hz", "flatness", "laeq_db", "zcr"])).unwrap();
    assert_eq!(fields.id(), FOUR_FIELDS);
    assert_eq!(FieldSet::new(names(&["value"])).unwrap().id(), VALUE);
}

/// `printf 'centroid_hz\nflatness\nlaeq_db\nzcr' | sha256sum | head -c 16`, as a signed number.
const FOUR_FIELDS: i64 = -6_665_725_544_712_791_123;
const VALUE: i64 = -3_656_289_246_627_670_580;

#[test]
fn the_order_in_which_names_come_does_not_matter() {
    let sorted = FieldSet::new(names(&["a", "b", "c"])).unwrap();
    let unsorted = FieldSet::from_unsorted(names(&["c", "a", "b"])).unwrap();
    assert_eq!(sorted, unsorted);
    assert_eq!(sorted.id(), unsorted.id());
    assert_eq!(unsorted.names(), names(&["a", "b", "c"]));
    assert_eq!(unsorted.len(), 3);
    assert_ne!(sorted, FieldSet::new(names(&["a", "b"])).unwrap());
}

#[test]
fn invalid_names_are_refused_and_named_in_the_error() {
    let error = |list: &[&str]| FieldSet::new(names(list)).unwrap_err();
    assert_eq!(error(&[]), FieldSetError::NoFields);
    assert_eq!(error(&[""]), FieldSetError::EmptyName);
    assert_eq!(error(&["b", "a"]), FieldSetError::NotSorted { name: "a".into() });
    assert_eq!(error(&["a", "a"]), FieldSetError::Duplicate { name: "a".into() });
    let expected = FieldSetError::ControlCharacter { character: '\n', name: "a\nb".into() };
    assert_eq!(error(&["a\nb"]), expected);
    assert_eq!(expected.to_string(), r#"a field's name contains the control character '\n': "a\nb""#);
    let name = format!("{}…", "x".repeat(64));
    assert_eq!(error(&[&"x".repeat(65)]), FieldSetError::NameTooLong { bytes: 65, name });
    assert!(FieldSet::new(names(&[&"x".repeat(64)])).is_ok());
    let twice = FieldSet::from_unsorted(names(&["a", "b", "a"]));
    assert_eq!(twice, Err(FieldSetError::Duplicate { name: "a".into() }));
}
