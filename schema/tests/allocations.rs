//! Decoding allocates in proportion to the size of its input, even if the input is hostile.

#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::{AllocationInfo, measure};
use proptest::prelude::*;
use thicket_schema::{Checkpoint, DeadLetter, Entry, Position, Reason};
use xxhash_rust::xxh3::xxh3_64;

// Most bytes in use at once: `FACTOR` per byte of input, and `BASE`.
const FACTOR: u64 = 64;
const BASE: u64 = 16_384;

fn assert_in_proportion(info: &AllocationInfo, input_bytes: usize) {
    let allowed = FACTOR * input_bytes as u64 + BASE;
    assert!(info.bytes_max <= allowed, "{} bytes for {input_bytes}", info.bytes_max);
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

/// Bytes that are often small, like counts and lengths, and often the start of a huge number.
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
    // The entry announces 4,000 records, which its bytes could hold. The first record is invalid.
    let mut bytes = vec![1, 1, 0, 0, 0, 0, 0xa0, 0x1f];
    bytes.resize(bytes.len() + 4_000 * 7, 0xff);
    let bytes = sealed(bytes, 4);
    let info = measure(|| drop(Entry::decode(&bytes)));
    assert!(info.count_total > 0);
    assert_in_proportion(&info, bytes.len());
}
