use proptest::prelude::*;

use super::*;

#[test]
fn ids_and_partitions_never_change() {
    let name = SensorName::new("site-1/microphone-7").unwrap();
    assert_eq!(name.id(), SensorId(SITE_1_MICROPHONE_7));
    assert_eq!(name.partition(64), PartitionId((SITE_1_MICROPHONE_7 as u64 % 64) as u16));
    assert_eq!(name.partition(1), PartitionId(0));
    assert_eq!(name.partition(0), PartitionId(0));
}

/// `printf site-1/microphone-7 | sha256sum | head -c 16`, as a signed number.
const SITE_1_MICROPHONE_7: i64 = 4_148_530_177_580_869_536;

#[test]
fn a_name_is_one_or_several_levels_of_printable_text() {
    for name in ["a", "site-1/microphone-7", "Küche/Fühler 3", "{x}", &"x".repeat(200)] {
        assert_eq!(SensorName::new(name).unwrap().as_str(), name);
    }
}

#[test]
fn a_bad_name_is_refused_and_the_error_says_why() {
    assert_eq!(SensorName::new(""), Err(SensorNameError::Empty));
    assert_eq!(SensorName::new(&"x".repeat(201)), Err(SensorNameError::TooLong { bytes: 201 }));
    for (name, character) in [("a\0", '\0'), ("a\u{85}b", '\u{85}'), ("a/+/b", '+'), ("#", '#')] {
        let expected = SensorNameError::ForbiddenCharacter { character, name: name.to_owned() };
        assert_eq!(SensorName::new(name), Err(expected));
    }
    for name in ["/a", "a/", "a//b", "/"] {
        assert_eq!(SensorName::new(name), Err(SensorNameError::EmptyLevel { name: name.to_owned() }));
    }
    let message = SensorName::new("a//b").unwrap_err().to_string();
    assert_eq!(
        message,
        "a sensor's name has an empty level; remove leading, trailing and double slashes: a//b"
    );
}

#[test]
fn a_partition_shows_at_least_two_digits() {
    assert_eq!(PartitionId(7).to_string(), "07");
    assert_eq!(PartitionId(63).to_string(), "63");
    assert_eq!(PartitionId(4095).to_string(), "4095");
}

#[test]
fn positions_are_ordered_by_generation_first() {
    let position = |generation, n| Position { generation, n };
    assert!(Position::default() < position(0, 1));
    assert!(position(1, 9) < position(2, 0));
    assert_eq!(position(5, 7).next(), position(5, 8));
}

#[test]
fn a_text_that_is_not_a_position_is_refused() {
    for text in ["", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1-+2", " 1-2", "a-b", "18446744073709551616-0"] {
        assert_eq!(text.parse::<Position>(), Err(PositionError(text.to_owned())), "{text}");
    }
}

proptest! {
    #[test]
    fn a_displayed_position_parses_to_the_same(generation: u64, n: u64) {
        let position = Position { generation, n };
        prop_assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn a_partition_is_below_the_number_of_partitions(name in "[a-z]{1,9}(/[a-z]{1,9}){0,3}", partitions in 1_u16..) {
        prop_assert!(SensorName::new(&name).unwrap().partition(partitions).0 < partitions);
    }

    #[test]
    fn an_accepted_name_is_a_usable_topic(name in ".{0,12}") {
        if let Ok(accepted) = SensorName::new(&name) {
            prop_assert!(!accepted.as_str().contains(['+', '#', '\0', '\n']));
            prop_assert!(accepted.as_str().split('/').all(|level| !level.is_empty()));
        }
    }
}
