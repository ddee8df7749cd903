//! Prints dead letters for people and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thicket_schema::postgres::DeadLetterRow;
use thicket_store::postgres::DeadLetterKey;

use super::cause_place;
use crate::terminal::{on_one_line, outln, shown};
use crate::time_arg;

/// Characters of a payload that a listing shows.
const PREVIEW: usize = 60;
/// Bytes in a line of hexadecimal.
const HEX_LINE: usize = 32;

/// Prints dead letters, two lines each.
pub(super) fn print_list(letters: &[DeadLetterRow]) {
    if letters.is_empty() {
        outln!("no dead letters");
    }
    for letter in letters {
        let payload: String = String::from_utf8_lossy(&letter.payload).chars().take(PREVIEW).collect();
        outln!(
            "{}  {}  {}  {}  {} bytes: {}{}\n    {}",
            DeadLetterKey::of(letter),
            letter.received.to_datetime().format("%Y-%m-%d %H:%M:%S"),
            letter.reason,
            on_one_line(&letter.topic),
            letter.payload_bytes,
            on_one_line(&payload),
            letter.replayed.map_or_else(String::new, |at| format!("  [replayed {}]", time_arg::show(at))),
            on_one_line(&letter.detail)
        );
        if let Some(place) = cause_place::shown(letter) {
            outln!("    {place}");
        }
    }
}

/// Prints how many readings of each reason are in quarantine, if there are any. They are not dead
/// letters.
pub(super) fn print_quarantined(counts: &BTreeMap<String, i64>) {
    if counts.is_empty() {
        return;
    }
    let counts: Vec<String> =
        counts.iter().map(|(reason, readings)| format!("{readings} {reason}")).collect();
    outln!("readings in quarantine: {}; see `thicket quarantine list`", counts.join(", "));
}

/// Prints a dead letter in full.
pub(super) fn print_whole(letter: &DeadLetterRow) {
    let kept = if letter.is_cut() {
        format!(", of which {} were kept", letter.payload.len())
    } else {
        String::new()
    };
    outln!("key       {}", DeadLetterKey::of(letter));
    outln!("received  {}", time_arg::show(letter.received));
    outln!("reason    {}", letter.reason);
    outln!("detail    {}", on_one_line(&letter.detail));
    if let Some(place) = cause_place::shown(letter) {
        outln!("cause     {place}");
    }
    outln!("topic     {}", on_one_line(&letter.topic));
    outln!("replayed  {}", letter.replayed.map_or_else(|| "never".to_owned(), time_arg::show));
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => outln!("payload   {} bytes{kept}\n{}", letter.payload_bytes, shown(text)),
        Err(_) => {
            outln!(
                "payload   {} bytes{kept}, in hexadecimal\n{}",
                letter.payload_bytes,
                hex(&letter.payload)
            );
        }
    }
}

/// Returns a dead letter with its key as JSON. A payload that is not UTF-8 is also there in
/// hexadecimal.
pub(super) fn to_json(letter: &DeadLetterRow) -> Value {
    let mut value = json!({
        "key": DeadLetterKey::of(letter).to_string(),
        "partition": letter.partition,
        "generation": letter.generation,
        "n": letter.n,
        "item": letter.item,
        "received": letter.received,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "payload": String::from_utf8_lossy(&letter.payload),
        "payload_bytes": letter.payload_bytes,
        "replayed": letter.replayed,
    });
    if std::str::from_utf8(&letter.payload).is_err() {
        value["payload_hex"] = hex(&letter.payload).replace([' ', '\n'], "").into();
    }
    value
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(HEX_LINE).map(line).collect::<Vec<_>>().join("\n")
}
