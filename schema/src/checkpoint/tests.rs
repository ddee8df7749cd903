use proptest::prelude::*;

use super::*;

fn sample() -> Checkpoint {
    Checkpoint {
        sensor: "m/1".to_owned(),
        seq: 258,
        newest: Some(Timestamp(-2)),
        era: 3,
        config: 0x0102_0304_0506_0708,
        state: vec![0xaa, 0xbb],
    }
}

/// Field by field, in the order of the table in the documentation of the module. The checksum is
/// from the reference implementation in C.
const GOLDEN: &[&[u8]] = &[
    b"TKCP",
    &[2, 0],                                              // version
    &[3, 0, b'm', b'/', b'1'],                            // sensor
    &[2, 1, 0, 0, 0, 0, 0, 0],                            // seq 258
    &[1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // newest, -2 µs
    &[3, 0, 0, 0],                                        // era
    &[8, 7, 6, 5, 4, 3, 2, 1],                            // config
    &[2, 0, 0, 0, 0, 0, 0, 0, 0xaa, 0xbb],                // state
    &[0xbb, 0x9f, 0x6b, 0x2d, 0xe2, 0xf4, 0xaf, 0xd3],    // checksum
];

/// Replaces the checksum by the right one.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(8));
    let checksum = xxh3_64(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

#[test]
fn the_format_is_pinned_byte_by_byte() {
    let golden = GOLDEN.concat();
    assert_eq!(sample().encode(), golden);
    assert_eq!(Checkpoint::decode(&golden), Ok(sample()));
    assert_eq!(golden.len(), Checkpoint::OVERHEAD + sample().sensor.len() + sample().state.len());
}

#[test]
fn another_programs_bytes_are_not_a_checkpoint() {
    for bytes in [&b""[..], b"TKC", b"tkcp\x01\x00", b"hello, world"] {
        assert_eq!(Checkpoint::decode(bytes), Err(CheckpointError::NotACheckpoint));
    }
}

#[test]
fn a_later_version_is_named_whatever_follows() {
    assert_eq!(Checkpoint::decode(b"TKCP\x03\x00"), Err(CheckpointError::TooNew(3)));
    assert_eq!(Checkpoint::decode(b"TKCP\x00\x03anything"), Err(CheckpointError::TooNew(768)));
    assert_eq!(Checkpoint::decode(b"TKCP\x00\x00"), Err(CheckpointError::Damaged));
}

#[test]
fn every_truncation_is_told_from_damage() {
    let bytes = sample().encode();
    for end in 4..bytes.len() {
        assert_eq!(Checkpoint::decode(&bytes[..end]), Err(CheckpointError::Truncated), "{end}");
    }
    assert_eq!(Checkpoint::decode(&[&bytes[..], &[0]].concat()), Err(CheckpointError::Damaged));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = sample().encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Checkpoint::decode(&flipped).is_err(), "{bit}");
    }
}

#[test]
fn content_that_makes_no_sense_is_damage_also_with_a_fitting_checksum() {
    let change = |place: usize, byte: u8| {
        let mut bytes = sample().encode();
        bytes[place] = byte;
        Checkpoint::decode(&sealed(bytes))
    };
    assert_eq!(change(8, 0xff), Err(CheckpointError::Damaged)); // not UTF-8
    assert_eq!(change(19, 0), Err(CheckpointError::Damaged)); // no newest, but a time
    assert_eq!(change(19, 2), Err(CheckpointError::Damaged));
}

proptest! {
    #[test]
    fn a_checkpoint_reads_back(
        sensor in ".{0,20}",
        seq: u64,
        newest in proptest::option::of(any::<i64>().prop_map(Timestamp)),
        era: i32,
        config: u64,
        state in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let checkpoint = Checkpoint { sensor, seq, newest, era, config, state };
        prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
    }

    #[test]
    fn hostile_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Checkpoint::decode(&bytes);
        let _ = Checkpoint::decode(&sealed([b"TKCP\x02\x00", &bytes[..]].concat()));
    }
}
