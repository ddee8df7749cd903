use proptest::prelude::*;
use proptest::sample::Index;

use super::control::SensorAction;
use super::layout::{
    CHECKSUM_BYTES, DEAD_LETTER, KIND_CONTROL, KIND_RECORDS, SERIES_SHIFT, VERSION, checksum,
};
use super::*;
use crate::dead_letter::{DeadLetter, Reason};
use crate::field_set::FieldSet;
use crate::ids::{Position, SensorName};
use crate::reading::{Reading, Timestamp};

fn reading(sensor: &str, ts: i64, fields: &[&str], values: &[f64]) -> Reading {
    Reading {
        sensor: SensorName::new(sensor).unwrap(),
        ts: Timestamp(ts),
        stamped: false,
        fields: FieldSet::from_unsorted(fields.iter().map(|name| (*name).to_owned()).collect()).unwrap(),
        values: values.to_vec(),
    }
}

fn record(received: i64, item: Item) -> Record {
    Record { received, redelivered: false, item }
}

/// Two readings of a sensor, a stamped and redelivered one of another sensor, and a dead letter.
fn sample() -> Entry {
    let mut second = reading("m/2", 3_000, &["a", "b"], &[-2.0, 0.5]);
    second.stamped = true;
    let letter = DeadLetter::new("x", Reason::Empty, "d", b"");
    Entry {
        predecessor: Position { generation: 300, n: 4 },
        records: vec![
            record(5_000, Item::Reading(reading("m/1", 1_000, &["a", "b"], &[1.0, 0.0]))),
            Record { received: 5_001, redelivered: true, item: Item::Reading(second) },
            record(5_000, Item::DeadLetter(letter)),
            record(5_000, Item::Reading(reading("m/1", 2_999, &["a", "b"], &[1.0, 0.0]))),
        ],
    }
}

/// Field by field, in the order of the table in the documentation of the module. The checksum is
/// from the reference implementation in C.
const GOLDEN: &[&[u8]] = &[
    &[1, 1],                                                    // version, kind
    &[0xac, 2, 4],                                              // predecessor 300-4
    &[1, 2, 1, b'a', 1, b'b'],                                  // one field set of two names
    &[2, 3, b'm', b'/', b'1', 0, 3, b'm', b'/', b'2', 0],       // two series, both of that set
    &[4],                                                       // four records
    &[0, 0x90, 0x4e, 0xd0, 0x0f],                               // series 0, received +5000, ts +1000
    &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0],    // 1.0, 0.0
    &[8 | 4 | 2, 2, 0xa0, 0x1f], // series 1, stamped, redelivered, received +1, ts +2000
    &[0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f], // -2.0, 0.5
    &[1, 1],                     // a dead letter, received -1
    &[5, b'e', b'm', b'p', b't', b'y', 1, b'x', 1, b'd', 0, 0], // reason, topic, detail, payload, its length
    &[0, 0, 1],                  // series 0, received +0, ts -1
    &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0], // 1.0, 0.0
    &[0xc8, 0xde, 0xc6, 0x96],   // checksum
];

#[test]
fn a_control_entry_comes_back_and_is_told_from_records() {
    let sensor = SensorName::new("site 1/a b").unwrap();
    let action = SensorAction::Forget;
    let request = Control::Sensor { sensor: sensor.clone(), action, request: 7 };
    let label = Control::Label { sensor, started: Timestamp(-5), label: "maintenance".to_owned() };
    for control in [Control::Detectors("{\"a\":1}".to_owned()), label, request] {
        let mut entry = Entry::of_control(5_000, control);
        entry.predecessor = Position { generation: 300, n: 4 };
        let bytes = entry.encode();
        assert!(Entry::is_control(&bytes) && !Entry::is_control(&sample().encode()));
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        for cut in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..cut]).is_err());
        }
    }
}

#[test]
fn the_format_is_pinned_byte_by_byte() {
    let golden = GOLDEN.concat();
    assert_eq!(sample().encode(), golden);
    assert_eq!(Entry::decode(&golden), Ok(sample()));
}

#[test]
fn an_entry_without_records_is_an_entry() {
    let entry = Entry { predecessor: Position::default(), records: Vec::new() };
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
}

#[test]
fn unknown_versions_and_kinds_are_named() {
    let mut bytes = sample().encode();
    bytes[0] = 2;
    assert_eq!(Entry::decode(&bytes), Err(EntryError::Damaged), "a flipped bit is no newer version");
    assert_eq!(Entry::decode(&sealed(bytes.clone())), Err(EntryError::UnknownVersion(2)));
    bytes[0] = 1;
    bytes[1] = 9;
    assert_eq!(Entry::decode(&sealed(bytes)), Err(EntryError::UnknownKind(9)));
    assert_eq!(Entry::decode(&[]), Err(EntryError::Truncated));
    assert_eq!(Entry::decode(&[1, 1, 0]), Err(EntryError::Truncated));
}

#[test]
fn a_later_build_reads_both_versions() {
    let later = sample().encode_later();
    assert_eq!(Entry::decode(&later), Err(EntryError::UnknownVersion(2)));
    assert_eq!(Entry::decode_later(&later), Ok(sample()));
    assert_eq!(Entry::decode_later(&sample().encode()), Ok(sample()));
}

#[test]
fn only_an_entry_of_a_newer_build_needs_one() {
    let needs = |error: EntryError| error.needs_newer_build();
    assert!(needs(EntryError::UnknownVersion(VERSION + 1)) && !needs(EntryError::UnknownVersion(0)));
    assert!(needs(EntryError::UnknownKind(3)) && needs(EntryError::UnknownContent("a control")));
    assert!(!needs(EntryError::Damaged) && !needs(EntryError::Truncated) && !needs(EntryError::Corrupt("")));
    let control = |name: &str, body: &str| {
        let mut bytes = vec![VERSION, KIND_CONTROL, 0, 0, 0];
        for text in [name, body] {
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
        Entry::decode(&sealed([&bytes[..], &[0; CHECKSUM_BYTES]].concat()))
    };
    assert_eq!(control("merge", "1 a"), Err(EntryError::UnknownContent("a control")));
    assert_eq!(control("reset", "x"), Err(EntryError::Corrupt("a control has an invalid body")));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    let bytes = sample().encode();
    for end in 0..bytes.len() {
        assert!(Entry::decode(&bytes[..end]).is_err(), "{end}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Entry::decode(&flipped).is_err(), "{bit}");
    }
}

#[test]
fn content_that_makes_no_sense_is_corrupt_also_with_a_fitting_checksum() {
    // One reading of one series: field set `a`, sensor `m`, head, received, ts, value.
    let reading =
        [&[1, 1, 0, 0, 1, 1, 1, b'a', 1, 1, b'm', 0, 1, 0, 0, 0][..], &[0; 8 + CHECKSUM_BYTES]].concat();
    assert!(Entry::decode(&sealed(reading.clone())).is_ok());
    for (place, byte, what) in [
        (6, 0, "names are no field set"),
        (7, b'\n', "names are no field set"),
        (7, 0xff, "a text is not UTF-8"),
        (10, b'#', "a text is no sensor name"),
        (11, 1, "a field set is not in the dictionary"),
        (13, 1 << SERIES_SHIFT, "a series is not in the dictionary"),
    ] {
        let mut bytes = reading.clone();
        bytes[place] = byte;
        if (place, byte) == (6, 0) {
            bytes.remove(7);
        }
        assert_eq!(Entry::decode(&sealed(bytes)), Err(EntryError::Corrupt(what)), "{place} {byte}");
    }
    for (byte, what) in [
        (DEAD_LETTER as u8 | 16, "a flag of a dead letter"),
        (DEAD_LETTER as u8, "a reason of a dead letter"),
    ] {
        let mut bytes = reading.clone();
        bytes[13] = byte;
        assert_eq!(Entry::decode(&sealed(bytes)), Err(EntryError::UnknownContent(what)), "{byte}");
    }
    let one_more = sealed([&reading[..], &[0]].concat());
    assert_eq!(Entry::decode(&one_more), Err(EntryError::Corrupt("bytes follow the last record")));
}

#[test]
fn a_false_count_is_refused_before_anything_is_allocated() {
    for list in [&[0xff; 9][..], &[0, 0xff, 0xff, 0xff, 0xff], &[0, 0, 0xff, 0xff, 0xff, 0xff]] {
        let bytes = [&[1, 1, 0, 0][..], list, &[1, 0, 0, 0, 0]].concat();
        assert_eq!(Entry::decode(&sealed(bytes)), Err(EntryError::Truncated));
    }
}

#[test]
#[should_panic(expected = "a reading has one value per field")]
fn a_reading_with_a_value_too_few_is_never_written() {
    let mut too_short = reading("a", 0, &["a", "b"], &[1.0]);
    too_short.values.truncate(1);
    Entry { predecessor: Position::default(), records: vec![record(0, Item::Reading(too_short))] }.encode();
}

/// Replaces the checksum by the right one, so that the test reaches the content.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len().saturating_sub(CHECKSUM_BYTES);
    let sum = checksum(&bytes[..content]);
    bytes.truncate(content);
    bytes.extend(sum);
    bytes
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let names = proptest::collection::btree_set("[a-d]{1,2}|[^\\pC]{1,16}", 1..5);
    ("[a-c](/[a-cé]){0,2}", any::<i64>(), any::<bool>(), names).prop_flat_map(
        |(sensor, ts, stamped, names)| {
            let fields = FieldSet::new(names.into_iter().collect()).unwrap();
            // NaN would not equal itself.
            let values = proptest::collection::vec(
                any::<f64>().prop_map(|v| if v.is_nan() { 0.0 } else { v }),
                fields.len(),
            );
            values.prop_map(move |values| Reading {
                sensor: SensorName::new(&sensor).unwrap(),
                ts: Timestamp(ts),
                stamped,
                fields: fields.clone(),
                values,
            })
        },
    )
}

fn any_dead_letter() -> impl Strategy<Value = DeadLetter> {
    let payload = prop_oneof![9 => proptest::collection::vec(any::<u8>(), 0..40), 1 => Just(vec![7; 5_000])];
    let flags = (any::<bool>(), any::<bool>());
    (0..Reason::ALL.len(), ".{0,9}", ".{0,9}", payload, flags).prop_map(
        |(reason, topic, detail, payload, (of_reading, count_only))| DeadLetter {
            of_reading,
            count_only,
            ..DeadLetter::new(&topic, Reason::ALL[reason], &detail, &payload)
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let item = prop_oneof![
        6 => any_reading().prop_map(Item::Reading),
        1 => any_dead_letter().prop_map(Item::DeadLetter),
    ];
    let record = (any::<i64>(), any::<bool>(), item).prop_map(|(received, redelivered, item)| Record {
        received,
        redelivered,
        item,
    });
    (any::<u64>(), any::<u64>(), proptest::collection::vec(record, 0..20))
        .prop_map(|(generation, n, records)| Entry { predecessor: Position { generation, n }, records })
}

proptest! {
    #[test]
    fn an_entry_reads_back(entry in any_entry()) {
        prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    }

    #[test]
    fn hostile_bytes_with_a_fitting_checksum_are_survived(
        entry in any_entry(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = entry.encode();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // An entry that is accepted can be encoded again, and then decodes to the same.
        if let Ok(decoded) = Entry::decode(&sealed(bytes)) {
            let again = decoded.encode();
            prop_assert_eq!(Entry::decode(&again).map(|entry| entry.encode()), Ok(again));
        }
    }

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Entry::decode(&bytes);
        let _ = Entry::decode(&sealed([&[VERSION, KIND_RECORDS], &bytes[..]].concat()));
    }
}
