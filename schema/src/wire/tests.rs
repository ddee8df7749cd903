use proptest::prelude::*;

use super::*;

fn varint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

fn zigzag(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_zigzag(&mut out, value);
    out
}

#[test]
fn numbers_have_the_documented_bytes() {
    assert_eq!(varint(0), [0]);
    assert_eq!(varint(127), [0x7f]);
    assert_eq!(varint(128), [0x80, 1]);
    assert_eq!(varint(300), [0xac, 2]);
    assert_eq!(varint(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    assert_eq!([zigzag(0), zigzag(-1), zigzag(1), zigzag(-2)], [[0], [1], [2], [3]]);
}

#[test]
fn a_varint_of_more_than_64_bits_is_refused() {
    let nine = [0xff; 9];
    assert_eq!(Reader::new(&[&nine[..], &[2]].concat()).varint(), Err(WireError::VarintTooLong));
    assert_eq!(Reader::new(&[&nine[..], &[0x81, 0]].concat()).varint(), Err(WireError::VarintTooLong));
    assert_eq!(Reader::new(&nine).varint(), Err(WireError::Truncated));
}

#[test]
fn a_count_that_the_rest_cannot_hold_is_refused() {
    assert_eq!(Reader::new(&[2, 0, 0, 0]).count(2), Err(WireError::Truncated));
    assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
    assert_eq!(Reader::new(&varint(u64::MAX)).count(1), Err(WireError::Truncated));
}

#[test]
fn a_text_must_be_there_and_utf8() {
    assert_eq!(Reader::new(&[2, 0xc3, 0xa9]).text(), Ok("é"));
    assert_eq!(Reader::new(&[1, 0xc3, 0xa9]).text(), Err(WireError::NotUtf8));
    assert_eq!(Reader::new(&[3, 0xc3, 0xa9]).text(), Err(WireError::Truncated));
}

proptest! {
    #[test]
    fn numbers_read_back(unsigned: u64, signed: i64) {
        prop_assert_eq!(Reader::new(&varint(unsigned)).varint(), Ok(unsigned));
        prop_assert_eq!(Reader::new(&zigzag(signed)).zigzag(), Ok(signed));
    }
}
