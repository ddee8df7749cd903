//! The backlog of a partition's log: the entries that are not committed yet, and their sensors.

use std::collections::BTreeMap;

use serde::Serialize;
use thicket_schema::{Entry, FieldSet, Item, PartitionId, Position, Record, SensorName};

use super::{LogReader, RedisError};

/// Entries that one read returns, of all its partitions together.
const PAGE: u64 = 200;
/// Partitions that one read asks for their next entry.
const PARTITIONS: usize = 512;

/// The backlog of one partition, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Number of entries.
    pub entries: u64,
    /// Number of readings and dead letters in the entries; `None` if there are too many entries to
    /// decode, or if only a newer build can decode one of them.
    pub records: Option<u64>,
}

impl InFlight {
    /// Returns the sum of two backlogs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let records = self.records.zip(other.records).map(|(a, b)| a + b);
        Self { entries: self.entries + other.entries, records }
    }

    /// The backlog of no partition.
    pub const ZERO: Self = Self { entries: 0, records: Some(0) };
}

/// Counts the entries and records of each log after its committed position, in the order of
/// `committed`. The logs are read together, and at most about `decode_up_to` entries of all of them
/// are decoded: the number of reads depends on neither the number of partitions nor the backlog.
pub async fn in_flight(
    reader: &LogReader,
    committed: &[(PartitionId, Position)],
    decode_up_to: u64,
) -> Result<Vec<InFlight>, RedisError> {
    let mut counted: BTreeMap<PartitionId, InFlight> =
        committed.iter().map(|&(partition, _)| (partition, InFlight::ZERO)).collect();
    let mut waiting = committed.to_vec();
    // The first read finds out which logs have entries at all.
    let (mut count, mut decoded) = (1, 0);
    while !waiting.is_empty() && decoded < decode_up_to {
        let mut next = Vec::new();
        for part in waiting.chunks(PARTITIONS) {
            for (partition, page) in reader.read_now(part, count).await? {
                let Some(newest) = page.last() else { continue };
                next.push((partition, newest.position));
                decoded += page.len() as u64;
                let records = page.iter().map(|entry| records_of(&entry.bytes)).sum();
                let page = InFlight { entries: page.len() as u64, records };
                counted.entry(partition).and_modify(|sum| *sum = sum.and(page));
            }
        }
        count = (PAGE / next.len().max(1) as u64).max(1);
        waiting = next;
    }
    for part in waiting.chunks(PARTITIONS) {
        let rest = reader.lags(part).await?;
        for (&(partition, _), entries) in part.iter().zip(rest).filter(|&(_, entries)| entries > 0) {
            let rest = InFlight { entries, records: None };
            counted.entry(partition).and_modify(|sum| *sum = sum.and(rest));
        }
    }
    Ok(committed.iter().map(|(partition, _)| counted[partition]).collect())
}

/// Calls `found` with the sensors of every reading after the given positions, each with a field
/// set. A sensor is found several times. An entry that cannot be decoded has none.
pub async fn waiting_sensors(
    reader: &LogReader,
    after: &[(PartitionId, Position)],
    mut found: impl FnMut(&SensorName, &FieldSet),
) -> Result<(), RedisError> {
    for part in after.chunks(PARTITIONS) {
        let mut waiting = reader.read_now(part, 1).await?;
        while !waiting.is_empty() {
            for (_, page) in &waiting {
                for (sensor, fields) in
                    page.iter().flat_map(|entry| Entry::series(&entry.bytes).unwrap_or_default())
                {
                    found(&sensor, &fields);
                }
            }
            let next =
                waiting.into_iter().filter_map(|(partition, page)| Some((partition, page.last()?.position)));
            let next: Vec<_> = next.collect();
            // A page of all partitions together is bounded.
            let count = (PAGE / next.len().max(1) as u64).max(1);
            waiting = reader.read_now(&next, count).await?;
        }
    }
    Ok(())
}

/// Returns the number of records of an entry that will count as delivered; `None` if only a newer
/// build can decode the entry. A damaged entry becomes one dead letter.
fn records_of(bytes: &[u8]) -> Option<u64> {
    let is_record = |record: &&Record| matches!(record.item, Item::Reading(_) | Item::DeadLetter(_));
    match Entry::decode(bytes) {
        Ok(entry) => Some(entry.records.iter().filter(is_record).count() as u64),
        Err(error) if error.needs_newer_build() => None,
        Err(_) => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thicket_schema::{Control, DeadLetter, Reason};

    #[test]
    fn control_entries_are_not_records_and_an_entry_that_cannot_be_decoded_is_one_record() {
        let dead_letter = Item::DeadLetter(DeadLetter::new("a", Reason::Empty, "", b""));
        let record = Record { received: 0, redelivered: false, item: dead_letter };
        let entry = Entry { predecessor: Position::default(), records: vec![record.clone(), record] };
        assert_eq!(records_of(&entry.encode()), Some(2));
        let control = Entry::of_control(0, Control::Detectors("{}".to_owned()));
        assert_eq!(records_of(&control.encode()), Some(0));
        assert_eq!(records_of(b"damaged"), Some(1));
        assert_eq!(records_of(&entry.encode_later()), None);
    }

    #[test]
    fn a_sum_is_unknown_if_one_backlog_is_unknown() {
        let counted = InFlight { entries: 2, records: Some(7) };
        assert_eq!(InFlight::ZERO.and(counted), counted);
        let uncounted = InFlight { entries: 3_000, records: None };
        assert_eq!(counted.and(uncounted), InFlight { entries: 3_002, records: None });
    }
}
