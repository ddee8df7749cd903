//! Encodes an entry.

use std::collections::HashMap;

use super::control::Control;
use super::layout::{
    COUNT_ONLY, DEAD_LETTER, KIND_CONTROL, KIND_RECORDS, OF_READING, REDELIVERED, SERIES_SHIFT, STAMPED,
    VERSION, checksum,
};
use super::types::{Entry, Item, Record};
use crate::dead_letter::DeadLetter;
use crate::field_set::FieldSet;
use crate::ids::SensorName;
use crate::reading::Reading;
use crate::wire::{put_bytes, put_varint, put_zigzag};

impl Entry {
    /// Packs the entry.
    ///
    /// # Panics
    /// If a reading has not exactly one value per field, or if an entry holds a control and other
    /// records.
    pub fn encode(&self) -> Vec<u8> {
        if let [Record { received, item: Item::Control(control), .. }] = self.records.as_slice() {
            return encode_control(self, *received, control);
        }
        let dictionary = Dictionary::of(&self.records);
        let mut out = Vec::with_capacity(dictionary.size_hint(&self.records));
        out.extend([VERSION, KIND_RECORDS]);
        put_varint(&mut out, self.predecessor.generation);
        put_varint(&mut out, self.predecessor.n);
        dictionary.put(&mut out);
        put_records(&mut out, &self.records, &dictionary.series_of_record);
        out.extend(checksum(&out));
        out
    }
}

fn encode_control(entry: &Entry, received: i64, control: &Control) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_CONTROL];
    put_varint(&mut out, entry.predecessor.generation);
    put_varint(&mut out, entry.predecessor.n);
    put_zigzag(&mut out, received);
    put_bytes(&mut out, control.name().as_bytes());
    put_bytes(&mut out, control.body().as_bytes());
    out.extend(checksum(&out));
    out
}

/// The names that the records share. Each is written once.
#[derive(Default)]
struct Dictionary<'a> {
    field_sets: Vec<&'a FieldSet>,
    /// Each series: its sensor and the index of its field set.
    series: Vec<(&'a SensorName, usize)>,
    /// For each reading, in the order of the records, its index in `series`.
    series_of_record: Vec<usize>,
}

impl<'a> Dictionary<'a> {
    fn of(records: &'a [Record]) -> Self {
        let mut dictionary = Self { series_of_record: Vec::with_capacity(records.len()), ..Self::default() };
        let mut known = HashMap::new();
        for record in records {
            let Item::Reading(reading) = &record.item else { continue };
            let series = *known.entry((&reading.sensor, &reading.fields)).or_insert_with(|| {
                let field_set = dictionary.index_of(&reading.fields);
                dictionary.series.push((&reading.sensor, field_set));
                dictionary.series.len() - 1
            });
            dictionary.series_of_record.push(series);
        }
        dictionary
    }

    /// Entries have few distinct field sets, so a linear search is fastest.
    fn index_of(&mut self, fields: &'a FieldSet) -> usize {
        self.field_sets.iter().position(|known| *known == fields).unwrap_or_else(|| {
            self.field_sets.push(fields);
            self.field_sets.len() - 1
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.field_sets.len() as u64);
        for fields in &self.field_sets {
            put_varint(out, fields.len() as u64);
            fields.names().iter().for_each(|name| put_bytes(out, name.as_bytes()));
        }
        put_varint(out, self.series.len() as u64);
        for (sensor, field_set) in &self.series {
            put_bytes(out, sensor.as_str().as_bytes());
            put_varint(out, *field_set as u64);
        }
    }

    /// Estimates the size of the entry in bytes.
    fn size_hint(&self, records: &[Record]) -> usize {
        let names = self.field_sets.iter().flat_map(|fields| fields.names()).map(|name| 1 + name.len());
        let series = self.series.iter().map(|(sensor, _)| 2 + sensor.as_str().len());
        let items = records.iter().map(|record| match &record.item {
            Item::Reading(reading) => 10 + 8 * reading.values.len(),
            Item::DeadLetter(dead) => 40 + dead.topic.len() + dead.detail.len() + dead.payload.len(),
            Item::Control(_) => 0,
        });
        48 + names.chain(series).chain(items).sum::<usize>()
    }
}

fn put_records(out: &mut Vec<u8>, records: &[Record], series_of_record: &[usize]) {
    put_varint(out, records.len() as u64);
    let mut series = series_of_record.iter();
    let (mut last_received, mut last_ts) = (0, 0);
    for record in records {
        let redelivered = if record.redelivered { REDELIVERED } else { 0 };
        let received = record.received.wrapping_sub(last_received);
        last_received = record.received;
        match &record.item {
            Item::Reading(reading) => {
                let stamped = if reading.stamped { STAMPED } else { 0 };
                let index = series.next().map_or(0, |index| *index as u64);
                put_varint(out, index << SERIES_SHIFT | stamped | redelivered);
                put_zigzag(out, received);
                put_zigzag(out, reading.ts.0.wrapping_sub(last_ts));
                last_ts = reading.ts.0;
                put_values(out, reading);
            }
            Item::DeadLetter(dead_letter) => {
                let of_reading = if dead_letter.of_reading { OF_READING } else { 0 };
                let count_only = if dead_letter.count_only { COUNT_ONLY } else { 0 };
                put_varint(out, DEAD_LETTER | redelivered | of_reading | count_only);
                put_zigzag(out, received);
                put_dead_letter(out, dead_letter);
            }
            Item::Control(_) => panic!("a control stands alone in its entry"),
        }
    }
}

fn put_values(out: &mut Vec<u8>, reading: &Reading) {
    assert_eq!(reading.values.len(), reading.fields.len(), "a reading has one value per field");
    for value in &reading.values {
        out.extend(value.to_le_bytes());
    }
}

fn put_dead_letter(out: &mut Vec<u8>, letter: &DeadLetter) {
    put_bytes(out, letter.reason.as_str().as_bytes());
    put_bytes(out, letter.topic.as_bytes());
    put_bytes(out, letter.detail.as_bytes());
    put_bytes(out, &letter.payload);
    put_varint(out, letter.payload_bytes);
}
