use super::*;

/// Reads bytes that are written as hexadecimal digits.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn of_cbor(text: &str) -> String {
    cbor(&hex(text)).map_or_else(|error| error.to_string(), |json| json.text)
}

fn of_messagepack(text: &str) -> String {
    messagepack(&hex(text)).map_or_else(|error| error.to_string(), |json| json.text)
}

#[test]
fn cbor_items_become_json() {
    for (item, json) in [
        ("a2 61 61 f9 3e00 62 6f6e f5", r#"{"a":1.5,"on":true}"#),
        ("bf 61 61 01 61 62 9f 01 20 ff ff", r#"{"a":1,"b":[1,-1]}"#),
        ("a2 01 fa 41ac0000 20 02", r#"{"1":21.5,"-1":2}"#),
        ("a4 61 61 f9 7e00 61 62 f9 7c00 61 63 f7 61 64 42 0102", r#"{"a":null,"b":null,"c":null,"d":null}"#),
        ("a1 61 61 c2 49 010000000000000000", r#"{"a":18446744073709551616}"#),
        ("a1 61 61 3b ffffffffffffffff", r#"{"a":-18446744073709551616}"#),
        ("a1 61 61 c4 82 21 19 6ab3", r#"{"a":27315e-2}"#),
        ("a1 61 61 c5 82 20 03", r#"{"a":1.5}"#),
        ("a1 62 7473 c1 1a 514b67b0", r#"{"ts":"2013-03-21T20:04:00.000000Z"}"#),
        ("d9 d9f7 a1 61 61 01", r#"{"a":1}"#),
        ("80", "[]"),
        ("a0", "{}"),
        ("a2 61 61 01 61 61 02", r#"{"a":1,"a":2}"#),
        ("a1 61 22 01", r#"{"\"":1}"#),
    ] {
        assert_eq!(of_cbor(item), json, "{item}");
    }
}

#[test]
fn messagepack_values_become_json() {
    for (value, json) in [
        ("82 a1 61 cb 3ff8000000000000 a2 6f6e c3", r#"{"a":1.5,"on":true}"#),
        ("82 01 ca 41ac0000 ff c0", r#"{"1":21.5,"-1":null}"#),
        ("83 a1 61 ca 7fc00000 a1 62 c4 02 0102 a1 63 d4 07 01", r#"{"a":null,"b":null,"c":null}"#),
        ("81 a2 7473 d6 ff 514b67b0", r#"{"ts":"2013-03-21T20:04:00.000000Z"}"#),
        ("81 a2 7473 d7 ff 77359400 514b67b0", r#"{"ts":"2013-03-21T20:04:00.500000Z"}"#),
        ("81 a2 7473 c7 0c ff 1dcd6500 00000000514b67b0", r#"{"ts":"2013-03-21T20:04:00.500000Z"}"#),
        ("dc 0002 cf ffffffffffffffff d3 8000000000000000", "[18446744073709551615,-9223372036854775808]"),
    ] {
        assert_eq!(of_messagepack(value), json, "{value}");
    }
}

#[test]
fn the_whole_payload_must_be_one_value() {
    assert!(of_cbor("a1 61 61 01 00").contains("1 bytes follow"));
    assert!(of_messagepack("81 a1 61 01 00").contains("1 bytes follow"));
    assert!(of_cbor("a1 61 61").contains("ends within an item"));
    assert!(of_messagepack("81 a1 61").starts_with("malformed MessagePack"));
    assert!(of_cbor("a1 80 01").contains("as the key of a map"));
}

#[test]
fn integers_as_keys_are_seen() {
    assert!(cbor(&hex("a1 01 05")).unwrap().has_integer_keys);
    assert!(messagepack(&hex("81 a1 61 81 ff 05")).unwrap().has_integer_keys);
    assert!(!messagepack(&hex("81 a1 61 05")).unwrap().has_integer_keys);
}

#[test]
fn depth_and_claimed_lengths_are_bounded() {
    assert!(of_cbor(&"81".repeat(1_000)).contains("more than 32 levels"));
    assert!(of_messagepack(&"91".repeat(1_000)).starts_with("malformed MessagePack"));
    assert!(of_cbor("9b 7fffffffffffffff 01").contains("ends within an item"));
    assert!(of_cbor("5b 7fffffffffffffff 01").starts_with("malformed CBOR"));
    assert!(of_messagepack("dd ffffffff 01").starts_with("malformed MessagePack"));
    assert!(of_messagepack("db ffffffff 61").starts_with("malformed MessagePack"));
}
