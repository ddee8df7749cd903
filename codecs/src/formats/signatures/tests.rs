use super::*;

fn by_content(payload: &[u8]) -> Option<String> {
    by_magic(payload).or_else(|| by_structure(payload))
}

#[test]
fn a_bson_document_says_its_own_length() {
    let document = b"\x13\x00\x00\x00\x01temp\x00\x00\x00\x00\x00\x80\x35\x40\x00\x00";
    let mut document = document.to_vec();
    document[0] = document.len() as u8;
    assert_eq!(by_content(&document).as_deref(), Some("BSON"));
    document.push(0);
    assert_ne!(by_content(&document).as_deref(), Some("BSON"));
}

#[test]
fn sparkplug_is_a_time_and_metrics() {
    assert_eq!(by_content(b"\x08\xfc\xdc\xe5\x9e\xa1\x34\x18\x01").as_deref(), Some("Sparkplug B"));
    assert_eq!(by_content(b"\x08\x96\x01").as_deref(), Some("Protobuf"));
    assert_eq!(by_content(b"\x08\x96"), None);
}

#[test]
fn ordinary_text_has_no_name() {
    for text in ["Online", "21,5", "ON", "{'a':1}", "a: 1", "x=1", "hello, world", "21.5 C", ""] {
        assert_eq!(by_content(text.as_bytes()), None, "{text}");
    }
    assert_eq!(by_content(b"1795856000.123:12.5\0"), None, "NULs at the end cost nothing");
    assert_eq!(by_content(b"21.5,40,7\n22,41,8").as_deref(), Some(SEPARATED_VALUES));
    assert_eq!(by_content(b"<!DOCTYPE html><p>").as_deref(), Some("HTML"));
    assert_eq!(by_content("\u{feff}<a/>".as_bytes()).as_deref(), Some("XML"));
}
