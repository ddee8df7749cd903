//! Decodes an entry from bytes that may be anything.

use super::control::Control;
use super::layout::{
    CHECKSUM_BYTES, COUNT_ONLY, DEAD_LETTER, KIND_AT, KIND_CONTROL, KIND_RECORDS, OF_READING, REDELIVERED,
    SERIES_SHIFT, STAMPED, VERSION, checksum,
};
use super::types::{Entry, EntryError, Item, Record};
use crate::dead_letter::DeadLetter;
use crate::field_set::FieldSet;
use crate::ids::{Position, SensorName};
use crate::reading::{Reading, Timestamp};
use crate::wire::Reader;

// The fewest bytes that one element of each list takes. They bound the counts.
const MIN_FIELD_SET: usize = 3;
const MIN_NAME: usize = 2;
const MIN_SERIES: usize = 3;
const MIN_RECORD: usize = 7;

impl Entry {
    /// Returns whether packed bytes are those of a control entry. Reads only the kind.
    pub fn is_control(bytes: &[u8]) -> bool {
        bytes.get(KIND_AT) == Some(&KIND_CONTROL)
    }

    /// Returns the sensors of an entry's readings, each with a field set, without the readings. A
    /// sensor may be there several times. A control entry has none.
    pub fn series(bytes: &[u8]) -> Result<Vec<(SensorName, FieldSet)>, EntryError> {
        let mut reader = open(bytes)?;
        if Self::is_control(bytes) {
            return Ok(Vec::new());
        }
        read_predecessor(&mut reader)?;
        let field_sets = read_field_sets(&mut reader)?;
        read_series(&mut reader, &field_sets)
    }

    /// Unpacks an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut reader = open(bytes)?;
        let predecessor = read_predecessor(&mut reader)?;
        if Self::is_control(bytes) {
            let record = read_control(&mut reader)?;
            if reader.remaining() > 0 {
                return Err(EntryError::Corrupt("bytes follow the control"));
            }
            return Ok(Self { predecessor, records: vec![record] });
        }
        let field_sets = read_field_sets(&mut reader)?;
        let series = read_series(&mut reader, &field_sets)?;
        let records = read_records(&mut reader, &series)?;
        if reader.remaining() > 0 {
            return Err(EntryError::Corrupt("bytes follow the last record"));
        }
        Ok(Self { predecessor, records })
    }
}

/// Checks version, checksum and kind. Returns a reader of what follows the kind.
fn open(bytes: &[u8]) -> Result<Reader<'_>, EntryError> {
    let version = *bytes.first().ok_or(EntryError::Truncated)?;
    let (content, stored_checksum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(EntryError::Truncated)?;
    if checksum(content) != *stored_checksum {
        return Err(EntryError::Damaged);
    }
    if version != VERSION {
        return Err(EntryError::UnknownVersion(version));
    }
    let mut reader = Reader::new(content);
    let [_version, kind] = reader.array()?;
    if kind != KIND_RECORDS && kind != KIND_CONTROL {
        return Err(EntryError::UnknownKind(kind));
    }
    Ok(reader)
}

fn read_predecessor(reader: &mut Reader<'_>) -> Result<Position, EntryError> {
    Ok(Position { generation: reader.varint()?, n: reader.varint()? })
}

fn read_control(reader: &mut Reader<'_>) -> Result<Record, EntryError> {
    let received = reader.zigzag()?;
    let (name, body) = (reader.text()?, reader.text()?);
    Ok(Record { received, redelivered: false, item: Item::Control(Control::parse(name, body)?) })
}

fn read_field_sets(reader: &mut Reader<'_>) -> Result<Vec<FieldSet>, EntryError> {
    let count = reader.count(MIN_FIELD_SET)?;
    let mut field_sets = Vec::with_capacity(count);
    for _ in 0..count {
        let names = reader.count(MIN_NAME)?;
        let names = (0..names).map(|_| Ok(reader.text()?.to_owned())).collect::<Result<_, EntryError>>()?;
        let fields = FieldSet::new(names).map_err(|_| EntryError::Corrupt("names are no field set"))?;
        field_sets.push(fields);
    }
    Ok(field_sets)
}

fn read_series(
    reader: &mut Reader<'_>,
    field_sets: &[FieldSet],
) -> Result<Vec<(SensorName, FieldSet)>, EntryError> {
    let count = reader.count(MIN_SERIES)?;
    let mut series = Vec::with_capacity(count);
    for _ in 0..count {
        let sensor =
            SensorName::new(reader.text()?).map_err(|_| EntryError::Corrupt("a text is no sensor name"))?;
        let fields = usize::try_from(reader.varint()?).ok().and_then(|index| field_sets.get(index));
        let fields = fields.ok_or(EntryError::Corrupt("a field set is not in the dictionary"))?;
        series.push((sensor, fields.clone()));
    }
    Ok(series)
}

fn read_records(
    reader: &mut Reader<'_>,
    series: &[(SensorName, FieldSet)],
) -> Result<Vec<Record>, EntryError> {
    let count = reader.count(MIN_RECORD)?;
    let mut records = Vec::with_capacity(count);
    let (mut received, mut ts) = (0_i64, 0_i64);
    for _ in 0..count {
        let head = reader.varint()?;
        received = received.wrapping_add(reader.zigzag()?);
        let item = if head & DEAD_LETTER == 0 {
            ts = ts.wrapping_add(reader.zigzag()?);
            Item::Reading(read_reading(reader, head, Timestamp(ts), series)?)
        } else if head & !(DEAD_LETTER | REDELIVERED | OF_READING | COUNT_ONLY) == 0 {
            Item::DeadLetter(DeadLetter {
                of_reading: head & OF_READING != 0,
                count_only: head & COUNT_ONLY != 0,
                ..read_dead_letter(reader)?
            })
        } else {
            return Err(EntryError::UnknownContent("a flag of a dead letter"));
        };
        records.push(Record { received, redelivered: head & REDELIVERED != 0, item });
    }
    Ok(records)
}

fn read_reading(
    reader: &mut Reader<'_>,
    head: u64,
    ts: Timestamp,
    series: &[(SensorName, FieldSet)],
) -> Result<Reading, EntryError> {
    let found = usize::try_from(head >> SERIES_SHIFT).ok().and_then(|index| series.get(index));
    let (sensor, fields) = found.ok_or(EntryError::Corrupt("a series is not in the dictionary"))?;
    let (values, _) = reader.take(8 * fields.len())?.as_chunks();
    Ok(Reading {
        sensor: sensor.clone(),
        ts,
        stamped: head & STAMPED != 0,
        fields: fields.clone(),
        values: values.iter().map(|bits| f64::from_le_bytes(*bits)).collect(),
    })
}

fn read_dead_letter(reader: &mut Reader<'_>) -> Result<DeadLetter, EntryError> {
    let reason =
        reader.text()?.parse().map_err(|_| EntryError::UnknownContent("a reason of a dead letter"))?;
    let topic = reader.text()?;
    let detail = reader.text()?;
    let payload = reader.bytes()?;
    Ok(DeadLetter::of_excerpt(topic, reason, detail, payload, reader.varint()?))
}
