//! What decoding may allocate: little for what is honest, in proportion to its size for what is not.

#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::{AllocationInfo, measure};
use proptest::prelude::*;
use thicket_schema::{Checkpoint, DeadLetter, Entry, PayloadDecoder, Position, Reason};
use xxhash_rust::xxh3::xxh3_64;

const PAYLOAD: &[u8] =
    br#"{"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,"zcr":0.08,"centroid_hz":812.5,"flatness":0.2}"#;

/// Bytes that may be in use at once for every byte of input, and beside those.
const FACTOR: u64 = 64;
const BASE: u64 = 16_384;

fn assert_in_proportion(info: &AllocationInfo, input_bytes: usize) {
    let allowed = FACTOR * input_bytes as u64 + BASE;
    assert!(info.bytes_max <= allowed, "{} bytes for {input_bytes}", info.bytes_max);
}

#[test]
fn an_object_of_a_known_form_allocates_only_what_it_returns() {
    let decoder = PayloadDecoder::default();
    decoder.decode(PAYLOAD).unwrap();
    let info = measure(|| drop(decoder.decode(PAYLOAD)));
    // The list of measurements, and the values of its one.
    assert_eq!(info.count_total, 2);
}

#[test]
fn a_fleet_that_makes_up_names_does_not_fill_the_memory() {
    let decoder = PayloadDecoder::default();
    let many_short = |n: usize| format!(r#"{{"{n}":1}}"#);
    let few_long = |n: usize| {
        let members: Vec<String> = (0..64).map(|field| format!(r#""{n:032}{field:032}":1"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    let info = measure(|| {
        (0..40_000).for_each(|n| drop(decoder.decode(many_short(n).as_bytes()).unwrap()));
        (0..2_000).for_each(|n| drop(decoder.decode(few_long(n).as_bytes()).unwrap()));
    });
    assert!(info.bytes_max < 24_000_000, "{} bytes", info.bytes_max);
}

#[test]
fn a_hostile_payload_costs_in_proportion_to_its_size() {
    let decoder = PayloadDecoder::default();
    let size = 65_536;
    for payload in [
        "[".repeat(size),
        r#"{"a":"#.repeat(size / 5),
        format!("[{}1]", "1,".repeat(size / 2 - 2)),
        format!("[{}{{}}]", "{},".repeat(size / 3 - 2)),
        format!(r#"{{"{}":1}}"#, "x".repeat(size - 6)),
        format!(r#"{{"a":"{}"}}"#, r"\n".repeat(size / 2 - 8)),
        format!(r#"{{"a":{}}}"#, "9".repeat(size - 6)),
        format!("0.{}1", "0".repeat(size - 3)),
        format!(r#"{{"ts":{},"a":1}}"#, "1".repeat(size - 20)),
    ] {
        assert!(payload.len() <= size);
        let info = measure(|| drop(decoder.decode(payload.as_bytes())));
        assert_in_proportion(&info, payload.len());
    }
}

#[test]
fn a_dead_letter_does_not_keep_the_message_alive() {
    let payload = vec![0; 10_000_000];
    let mut letter = None;
    let info = measure(|| {
        letter = Some(DeadLetter::new("sensors/x", Reason::PayloadTooLarge, "too large", &payload));
    });
    assert!(info.bytes_current < 5_000, "{} bytes", info.bytes_current);
}

fn sealed(mut bytes: Vec<u8>, checksum_bytes: usize) -> Vec<u8> {
    let checksum = xxh3_64(&bytes).to_le_bytes();
    bytes.extend_from_slice(&checksum[..checksum_bytes]);
    bytes
}

/// Bytes that are often small, as counts and lengths are, and often the start of a huge number.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => 0..8_u8, 1 => Just(0xff_u8), 1 => Just(0x7f_u8), 2 => any::<u8>()];
    proptest::collection::vec(byte, 0..400)
}

proptest! {
    #[test]
    fn a_hostile_entry_costs_in_proportion_to_its_size(body in hostile_bytes()) {
        let empty = Entry { predecessor: Position::default(), records: Vec::new() }.encode();
        let bytes = sealed([&empty[..4], &body].concat(), 4);
        let info = measure(|| drop(Entry::decode(&bytes)));
        assert_in_proportion(&info, bytes.len());
    }

    #[test]
    fn a_hostile_checkpoint_costs_in_proportion_to_its_size(body in hostile_bytes()) {
        let bytes = sealed([b"TKCP\x01\x00", &body[..]].concat(), 8);
        let info = measure(|| drop(Checkpoint::decode(&bytes)));
        assert_in_proportion(&info, bytes.len());
    }
}

#[test]
fn an_entry_that_promises_as_much_as_its_size_allows_costs_in_proportion() {
    // Four thousand records are promised, which as many bytes can hold; the first of them is already wrong.
    let mut bytes = vec![1, 1, 0, 0, 0, 0, 0xa0, 0x1f];
    bytes.resize(bytes.len() + 4_000 * 7, 0xff);
    let bytes = sealed(bytes, 4);
    let info = measure(|| drop(Entry::decode(&bytes)));
    assert!(info.count_total > 0);
    assert_in_proportion(&info, bytes.len());
}
