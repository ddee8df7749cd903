//! Prints dead letters for people and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thicket_schema::postgres::DeadLetterRow;
use thicket_store::postgres::DeadLetterKey;

use crate::time_arg;

/// Characters of a payload that a listing shows.
const PREVIEW: usize = 60;
/// Bytes in a line of hexadecimal.
const HEX_LINE: usize = 32;

/// Prints dead letters, two lines each.
pub(super) fn print_list(letters: &[DeadLetterRow]) {
    if letters.is_empty() {
        println!("no dead letters");
    }
    for letter in letters {
        let payload: String = String::from_utf8_lossy(&letter.payload).chars().take(PREVIEW).collect();
        println!(
            "{}  {}  {}  {}  {} bytes: {}{}\n    {}",
            DeadLetterKey::of(letter),
            letter.received.to_datetime().format("%Y-%m-%d %H:%M:%S"),
            letter.reason,
            letter.topic,
            letter.payload_bytes,
            on_one_line(&payload),
            letter.replayed.map_or_else(String::new, |at| format!("  [replayed {}]", time_arg::show(at))),
            letter.detail
        );
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
    println!("readings in quarantine: {}; see `thicket quarantine list`", counts.join(", "));
}

/// Prints a dead letter in full.
pub(super) fn print_whole(letter: &DeadLetterRow) {
    let kept = if letter.is_cut() {
        format!(", of which {} were kept", letter.payload.len())
    } else {
        String::new()
    };
    println!("key       {}", DeadLetterKey::of(letter));
    println!("received  {}", time_arg::show(letter.received));
    println!("reason    {}", letter.reason);
    println!("detail    {}", letter.detail);
    println!("topic     {}", letter.topic);
    println!("replayed  {}", letter.replayed.map_or_else(|| "never".to_owned(), time_arg::show));
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => println!("payload   {} bytes{kept}\n{}", letter.payload_bytes, on_its_lines(text)),
        Err(_) => println!(
            "payload   {} bytes{kept}, in hexadecimal\n{}",
            letter.payload_bytes,
            hex(&letter.payload)
        ),
    }
}

/// Prints dead letters with their keys as JSON. A payload that is not UTF-8 is also there in
/// hexadecimal.
pub(super) fn print_json(letters: &[DeadLetterRow]) -> anyhow::Result<()> {
    let all: Vec<Value> = letters.iter().map(to_json).collect();
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

fn to_json(letter: &DeadLetterRow) -> Value {
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

/// Escapes control characters other than line feeds, so that the text cannot control a terminal.
fn on_its_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(on_one_line).collect();
    lines.join("\n")
}

/// Escapes every control character.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(HEX_LINE).map(line).collect::<Vec<_>>().join("\n")
}
