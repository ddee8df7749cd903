use thicket_protocol::progress::Progress;
use thicket_schema::Record;

use super::*;
use crate::testing::{reading, record_of};

const P: PartitionId = PartitionId(3);

fn at(n: u64) -> Position {
    Position { generation: 7, n }
}

fn entry(n: u64, predecessor: u64, records: Vec<Record>) -> LogEntry {
    let entry = Entry { predecessor: at(predecessor), records };
    LogEntry { position: at(n), bytes: entry.encode().into() }
}

fn dead_letter() -> Record {
    let dead_letter = DeadLetter::new("a/b", Reason::MalformedJson, "", b"{");
    Record { received: 9, redelivered: true, item: Item::DeadLetter(dead_letter) }
}

fn collect(quarantine: &QuarantineList, entries: Vec<LogEntry>) -> ReadBatch {
    let mut collector = Collector::default();
    collector.add(P, Progress::new(5, at(2)), quarantine, entries);
    collector.finish()
}

#[test]
fn readings_are_gathered_by_sensor_in_the_order_of_the_log() {
    let first = vec![record_of(reading("a", 1, 1.0)), record_of(reading("b", 1, 2.0)), dead_letter()];
    let second = vec![record_of(reading("a", 2, 3.0))];
    let batch = collect(&QuarantineList::new(), vec![entry(3, 2, first), entry(4, 3, second)]);
    assert_eq!(batch.records(), 4);
    let values =
        |sensor: &SensorBatch| sensor.readings.iter().map(|reading| reading.values[0]).collect::<Vec<_>>();
    let sensors: Vec<_> = batch.sensors.iter().map(|batch| (batch.sensor.as_str(), values(batch))).collect();
    assert_eq!(sensors, [("a", vec![1.0, 3.0]), ("b", vec![2.0])]);
    assert_eq!(batch.sensors[0].positions[1], RecordPosition { position: at(4), item: 0 });

    let [range] = &batch.ranges[..] else { panic!("not one range") };
    assert_eq!((range.epoch, range.from, range.to, range.first()), (5, at(2), at(4), at(3)));
    assert!(range.losses.is_empty() && range.control().is_none());
    assert!(matches!(range.slots[1].content, Content::Reading { sensor: 1, index: 0 }));
    assert!(matches!(range.slots[3].content, Content::Reading { sensor: 0, index: 1 }));
    let slot = &range.slots[2];
    assert!(slot.redelivered && matches!(slot.content, Content::DeadLetter(_)));
}

#[test]
fn an_entry_whose_predecessor_was_not_read_follows_a_loss() {
    let record = || vec![record_of(reading("a", 1, 1.0))];
    let batch = collect(&QuarantineList::new(), vec![entry(3, 2, record()), entry(9, 8, record())]);
    assert_eq!(batch.ranges[0].losses, [LogLoss { after: at(3), before: at(9) }]);
}

#[test]
fn an_entry_that_cannot_be_decoded_is_a_dead_letter_without_an_arrival_time() {
    let damaged = LogEntry { position: at(3), bytes: bytes::Bytes::from_static(b"damaged") };
    let batch = collect(&QuarantineList::new(), vec![damaged]);
    let slot = &batch.ranges[0].slots[0];
    assert_eq!((slot.received, slot.position), (0, RecordPosition { position: at(3), item: 0 }));
    let Content::DeadLetter(dead_letter) = &slot.content else { panic!("{slot:?}") };
    assert_eq!((dead_letter.reason, &dead_letter.payload[..]), (Reason::BadEntry, b"damaged".as_slice()));
    assert!(batch.sensors.is_empty());
}

#[test]
fn quarantined_readings_are_found_by_their_position() {
    let records = (1..=3).map(|ts| record_of(reading("a", ts, 0.0))).collect();
    let position = RecordPosition { position: at(3), item: 1 };
    let reason = (QuarantineReason::Poison, "twice".to_owned());
    let batch = collect(&QuarantineList::from([(position, reason.clone())]), vec![entry(3, 2, records)]);
    assert_eq!(batch.sensors[0].quarantined, Quarantined::from([(1, reason)]));
}

#[test]
fn a_control_entry_is_alone_in_its_list() {
    let control = || {
        let entry = Entry::of_control(1, Control::Detectors("{}".to_owned()));
        LogEntry { position: at(4), bytes: entry.encode().into() }
    };
    let record = || vec![record_of(reading("a", 1, 1.0))];
    let positions = |mut entries: Vec<LogEntry>| {
        cut_at_control(&mut entries);
        entries.iter().map(|entry| entry.position.n).collect::<Vec<_>>()
    };
    assert_eq!(positions(vec![entry(3, 2, record()), control(), entry(5, 4, record())]), [3]);
    assert_eq!(positions(vec![control(), entry(5, 4, record())]), [4]);
    assert_eq!(positions(vec![entry(3, 2, record())]), [3]);
    let batch = collect(&QuarantineList::new(), vec![control()]);
    assert!(matches!(batch.ranges[0].control(), Some(Control::Detectors(_))));
}

#[test]
fn an_entry_of_a_newer_build_is_no_dead_letter_and_ends_the_range() {
    let control = Entry::of_control(0, Control::Detectors(String::new()));
    let unknown = |n| LogEntry { position: at(n), bytes: control.encode_later().into() };
    let first = || entry(3, 2, vec![record_of(reading("a", 1, 1.0))]);
    let batch = collect(&QuarantineList::new(), vec![first(), unknown(4), entry(5, 4, vec![dead_letter()])]);
    assert_eq!((batch.records(), batch.ranges[0].to), (1, at(3)));
    assert!(batch.refused.is_empty(), "the entry before it is committed first");

    let batch = collect(&QuarantineList::new(), vec![unknown(3), first()]);
    assert!(batch.ranges.is_empty());
    let [refused] = &batch.refused[..] else { panic!("not refused") };
    assert_eq!((refused.partition, refused.epoch, refused.position), (P, 5, at(3)));
    assert_eq!(refused.cause, EntryError::UnknownVersion(2));
}
