use super::*;

#[test]
fn every_reason_has_a_name_of_its_own_and_is_found_by_it() {
    for reason in Reason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(reason));
        assert_eq!(Reason::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count(), 1);
    }
    assert_eq!("other".parse::<Reason>(), Err(ReasonError("other".to_owned())));
}

#[test]
fn the_list_of_reasons_is_in_order_and_complete() {
    assert!(Reason::ALL.is_sorted());
    assert_eq!(Reason::ALL.len(), Reason::SensorRenamed as usize + 1);
}

#[test]
fn a_dead_letter_keeps_the_beginnings_and_the_true_length() {
    let letter =
        DeadLetter::new(&"t".repeat(2_000), Reason::MalformedJson, &"d".repeat(2_000), &vec![7; 10_000_000]);
    assert_eq!(letter.topic.len(), 1_024);
    assert_eq!(letter.detail.len(), 500);
    assert_eq!(letter.payload, vec![7; 4_096]);
    assert_eq!(letter.payload_bytes, 10_000_000);
}

#[test]
fn a_dead_letter_is_cut_between_characters_and_has_no_nul() {
    let letter = DeadLetter::new("a\0b", Reason::BadTimestamp, &"é".repeat(300), b"\0");
    assert_eq!(letter.topic, "a\u{fffd}b");
    assert_eq!(letter.detail, "é".repeat(250));
    assert_eq!(&letter.payload[..], b"\0");
}

#[test]
fn cutting_twice_changes_nothing_more() {
    let once = DeadLetter::new(&"\0".repeat(1_000), Reason::Empty, &"\0é".repeat(300), &[0; 5_000]);
    let twice =
        DeadLetter::of_excerpt(&once.topic, once.reason, &once.detail, &once.payload, once.payload_bytes);
    assert_eq!(once, twice);
}

#[test]
fn a_dead_letter_of_a_reading_holds_its_time_beside_its_values() {
    let of = |fields: &[&str]| {
        let reading = Reading {
            sensor: crate::SensorName::new("site-1/mic").unwrap(),
            ts: crate::Timestamp(1_795_345_200_000_001),
            stamped: false,
            fields: crate::FieldSet::new(fields.iter().map(|name| (*name).to_owned()).collect()).unwrap(),
            values: vec![1.5; fields.len()],
        };
        let letter = DeadLetter::of_reading(&reading, Reason::TimestampConflict, "");
        assert_eq!(letter.topic, "site-1/mic");
        assert!(letter.of_reading);
        String::from_utf8(letter.payload.to_vec()).unwrap()
    };
    assert_eq!(of(&["level"]), r#"{"level":1.5,"ts":"2026-11-22T11:00:00.000001Z"}"#);
    assert_eq!(of(&["ts"]), r#"{"timestamp":"2026-11-22T11:00:00.000001Z","ts":1.5}"#);
}

#[test]
fn a_dead_letter_that_is_shortened_or_only_counted_keeps_the_hash_of_its_content() {
    for bytes in [10, 256, 264, 265, 5_000] {
        let whole = DeadLetter::new("sensors/a", Reason::MalformedJson, "why", &vec![7; bytes]);
        let mut sample = whole.clone();
        sample.sample();
        assert_eq!(sample.content(), whole.content(), "{bytes}");
        let kept = if bytes > 264 { 256 } else { bytes };
        assert_eq!(sample.kept_payload(), vec![7; kept], "{bytes}");
        let mut counted = whole.clone();
        counted.count_only();
        assert_eq!(counted.content(), whole.content(), "{bytes}");
        let other = DeadLetter::new("sensors/b", Reason::MalformedJson, "why", &vec![7; bytes]);
        assert_ne!(other.content(), whole.content());
    }
    let of_before = DeadLetter { count_only: true, ..DeadLetter::new("", Reason::Empty, "", b"") };
    assert_eq!(of_before.content(), None);
}
