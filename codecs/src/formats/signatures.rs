//! Recognises formats that are not read, so that their dead letters can name them.

use thicket_schema::text::excerpt;

use crate::payload::{trim_end, without_mark};

/// The first level of the topics of Sparkplug B.
const SPARKPLUG_NAMESPACE: &str = "spBv1.0/";

const SEPARATED_VALUES: &str =
    "separated values (CSV), which are read only if mqtt.format and mqtt.csv_columns say so";

/// Formats by their first bytes.
const MAGIC: [(&[u8], &str); 20] = [
    (b"Obj\x01", "an Avro file"),
    (b"\xc3\x01", "an Avro message with a schema fingerprint"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF file (WAV, AVI or WebP)"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ", "xz-compressed data"),
    (b"\x04\x22\x4d\x18", "LZ4-compressed data"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy-compressed data"),
    (b"\x89HDF", "HDF5"),
    (b"\x7fELF", "a program (ELF)"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\xac\xed\x00\x05", "a serialised Java object"),
];

/// Returns the name of the format if the topic says it.
pub(super) fn by_topic(topic: &str) -> Option<String> {
    let is_sparkplug = topic.starts_with(SPARKPLUG_NAMESPACE);
    is_sparkplug.then(|| format!("Sparkplug B (topic {})", excerpt(topic)))
}

/// Returns the name of the format if the first bytes say it.
pub(super) fn by_magic(payload: &[u8]) -> Option<String> {
    let named = MAGIC.iter().find(|(magic, _)| payload.starts_with(magic));
    named.map(|(_, name)| (*name).to_owned()).or_else(|| xml_or_html(payload))
}

/// Returns the name of the format that the structure of the payload suggests.
pub(super) fn by_structure(payload: &[u8]) -> Option<String> {
    let text = trim_end(payload);
    let name = if is_text(text) {
        return text_format(std::str::from_utf8(text).ok()?);
    } else if is_utf16(payload) {
        "text in UTF-16"
    } else if is_bson(payload) {
        "BSON"
    } else if let Some(id) = registry_id(payload) {
        return Some(format!("Avro or Protobuf of a schema registry (schema id {id})"));
    } else {
        match protobuf_fields(payload)?.as_slice() {
            // The timestamp of Sparkplug B, then metrics or the sequence number.
            [(1, Wire::Varint(time)), rest @ ..] if is_epoch_millis(*time) && has_metrics(rest) => {
                "Sparkplug B"
            }
            _ => "Protobuf",
        }
    };
    Some(name.to_owned())
}

/// Whether the payload is UTF-8 without control characters other than white space.
fn is_text(payload: &[u8]) -> bool {
    let is_binary = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    std::str::from_utf8(payload).is_ok() && !payload.iter().any(is_binary)
}

fn xml_or_html(payload: &[u8]) -> Option<String> {
    let text = payload.trim_ascii_start();
    let text = without_mark(text).trim_ascii_start();
    let [b'<', second, ..] = text else { return None };
    let is_html = text.get(1..5).is_some_and(|name| name.eq_ignore_ascii_case(b"html"))
        || text.get(1..9).is_some_and(|name| name.eq_ignore_ascii_case(b"!doctype"));
    let is_xml = matches!(second, b'?' | b'!' | b'_') || second.is_ascii_alphabetic();
    (is_html || is_xml).then(|| if is_html { "HTML" } else { "XML" }.to_owned())
}

fn text_format(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    if text.starts_with(['{', '[', '"']) {
        return None;
    }
    let mut pairs = text.split('&');
    let is_form = text.contains('&')
        && !text.contains(char::is_whitespace)
        && pairs.all(|pair| pair.split_once('=').is_some_and(|(name, _)| !name.is_empty()));
    if is_form {
        return Some("a web form (name=value&name=value)".to_owned());
    }
    // One comma may be the decimal sign of a number.
    let first_line = text.lines().next()?;
    let mut separators = [',', ';', '\t'].into_iter();
    let is_table = separators.any(|separator| {
        let cells: Vec<&str> = first_line.split(separator).collect();
        let are_cells = cells.iter().all(|cell| !cell.is_empty() && !cell.contains(['=', '{', ':']));
        let enough = cells.len() > 2 || (cells.len() > 1 && separator != ',');
        enough && are_cells
    });
    is_table.then(|| SEPARATED_VALUES.to_owned())
}

/// Whether every second byte of the payload is zero, after a byte order mark if there is one. A
/// mark alone says nothing: damaged payloads begin with such bytes too.
fn is_utf16(payload: &[u8]) -> bool {
    const MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
    let text = MARKS.iter().find_map(|mark| payload.strip_prefix(*mark)).unwrap_or(payload);
    let zeros = |begin: usize| text.iter().skip(begin).step_by(2).all(|byte| *byte == 0);
    text.len() >= 4 && text.len().is_multiple_of(2) && zeros(0) != zeros(1)
}

/// Whether the payload is a BSON document: its length in bytes, members, a zero.
fn is_bson(payload: &[u8]) -> bool {
    let Some((length, members)) = payload.split_first_chunk::<4>() else { return false };
    u32::from_le_bytes(*length) as usize == payload.len()
        && payload.len() > 5
        && members.ends_with(&[0])
        && matches!(members[0], 0x01..=0x13 | 0x7f | 0xff)
}

/// Returns the id of the schema, if the payload begins like that of a schema registry: a zero, and
/// four bytes of a small number.
fn registry_id(payload: &[u8]) -> Option<u32> {
    let [0, id @ ..] = payload else { return None };
    let (id, data) = id.split_first_chunk::<4>()?;
    let id = u32::from_be_bytes(*id);
    ((1..10_000_000).contains(&id) && !data.is_empty()).then_some(id)
}

/// The value of a Protobuf field, as far as it is of interest.
enum Wire {
    Varint(u64),
    Other,
}

/// Returns numbers and values of the fields, if the payload is wholly Protobuf.
fn protobuf_fields(payload: &[u8]) -> Option<Vec<(u64, Wire)>> {
    let mut rest = payload;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let number = key >> 3;
        if !(1..1 << 29).contains(&number) {
            return None;
        }
        let length = match key & 7 {
            0 => {
                fields.push((number, Wire::Varint(varint(&mut rest)?)));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
        fields.push((number, Wire::Other));
    }
    (!fields.is_empty()).then_some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Whether a number is a time in milliseconds, in the years 2001 to 2286.
fn is_epoch_millis(number: u64) -> bool {
    (1_000_000_000_000..10_000_000_000_000).contains(&number)
}

fn has_metrics(fields: &[(u64, Wire)]) -> bool {
    let is_known = |(number, value): &(u64, Wire)| match value {
        Wire::Varint(_) => *number == 3,
        Wire::Other => matches!(number, 2 | 4 | 5),
    };
    !fields.is_empty() && fields.iter().all(is_known)
}

#[cfg(test)]
mod tests;
