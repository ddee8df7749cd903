use std::sync::Arc;

use thicket_detector::{Detection, DetectorConfig, Event, Marks, NamedConfig};
use thicket_protocol::progress::Progress;
use thicket_schema::{Entry, Item, PartitionId, Position, Record};
use thicket_store::postgres::{ClockState, LogLoss, QuarantineList};
use thicket_store::redis::LogEntry;

use super::super::collect::{Collector, ReadBatch};
use super::*;
use crate::messages::ClockReport;
use crate::testing::{reading, record_of};

fn at(n: u64) -> Position {
    Position { generation: 7, n }
}

fn collect(entries: Vec<Entry>) -> ReadBatch {
    let mut collector = Collector::default();
    let logged =
        |(n, entry): (usize, Entry)| LogEntry { position: at(n as u64 + 3), bytes: entry.encode().into() };
    let entries = entries.into_iter().enumerate().map(logged).collect();
    collector.add(PartitionId(3), Progress::new(5, at(2)), &QuarantineList::new(), entries);
    collector.finish()
}

fn readings(readings: impl IntoIterator<Item = Reading>) -> Entry {
    Entry { predecessor: at(2), records: readings.into_iter().map(record_of).collect() }
}

fn detection(seq: u64, event: Option<Event>) -> Detection {
    Detection {
        seq,
        score: 1.5,
        grade: None,
        confidence: 0.25,
        onset: 0.0,
        anomaly: event.is_some(),
        marks: Marks { stuck: true, ..Marks::default() },
        causes: Vec::new(),
        event,
    }
}

fn event(started: i64, readings: u32) -> Event {
    Event {
        started,
        ended: None,
        accepted: false,
        peak_at: started,
        peak_score: 2.0,
        peak_grade: 0.9,
        readings,
        is_new: readings == 1,
        causes: Vec::new(),
    }
}

fn scored(outcomes: Vec<ScoreOutcome>) -> ScoredBatch {
    let config = Arc::new(NamedConfig::from(DetectorConfig::default()));
    let place = Place { ts: Timestamp(0), shifted: false, era: 0 };
    let places = vec![place; outcomes.len()];
    ScoredBatch { outcomes, places, clock: ClockReport::default(), config, checkpoint: None, fields: None }
}

fn batch_of(mut read: ReadBatch, outcomes: Vec<Vec<ScoreOutcome>>) -> CommitBatch {
    let scored: Vec<ScoredBatch> = outcomes.into_iter().map(scored).collect();
    assemble(read.ranges.remove(0), &read.sensors, &scored)
}

#[test]
fn every_reading_has_its_outcome_at_its_position() {
    let read = collect(vec![readings((1..=4).map(|ts| reading("a", ts, ts as f64)))]);
    let rejected = ScoreOutcome::Rejected { reason: Reason::NotFinite, detail: "no".to_owned() };
    let outcomes = vec![
        ScoreOutcome::Scored(Box::new(detection(1, None))),
        ScoreOutcome::NotNewer,
        ScoreOutcome::Poison,
        rejected,
    ];
    let batch = batch_of(read, vec![outcomes]);
    assert_eq!((batch.from, batch.to, batch.epoch, batch.delivered, batch.poison), (at(2), at(3), 5, 4, 1));
    assert_eq!(batch.received, [1, 2, 3, 4]);

    let [first, poison] = &batch.rows[..] else { panic!("{:?}", batch.rows) };
    assert_eq!((first.row.seq, first.row.score, first.position.item), (Some(1), Some(1.5), 0));
    assert_eq!(first.row.flags, Flag::WarmingUp.bit() | Flag::Stuck.bit());
    assert_eq!(first.row.confidence, Some(0.25));
    assert_eq!((poison.row.seq, poison.row.flags, poison.position.item), (None, Flag::Poison.bit(), 2));
    assert_eq!((batch.late[0].position.item, batch.late[0].received), (1, 2));
    let logged = &batch.dead_letters[0];
    assert_eq!((logged.position.item, logged.dead_letter.reason), (3, Reason::NotFinite));

    assert_eq!(batch.configs.keys().copied().map(u64::cast_signed).map(Some).next(), Some(first.row.config));
    let [seen] = &batch.sensors[..] else { panic!("{:?}", batch.sensors) };
    assert_eq!((seen.sensor.as_str(), seen.first_seen.0), ("a", 1));
}

#[test]
fn an_event_is_stored_once_in_its_last_state() {
    let read = collect(vec![readings((1..=3).map(|ts| reading("a", ts, 0.0)))]);
    let outcome = |seq, event| ScoreOutcome::Scored(Box::new(detection(seq, Some(event))));
    let outcomes = vec![outcome(1, event(1, 1)), outcome(2, event(1, 2)), outcome(3, event(3, 1))];
    let anomalies = batch_of(read, vec![outcomes]).anomalies;
    let states: Vec<_> = anomalies.iter().map(|row| (row.started.0, row.readings)).collect();
    assert_eq!(states, [(1, 2), (3, 1)]);
}

#[test]
fn events_are_in_the_order_of_the_log_although_a_clock_goes_back() {
    let read = collect(vec![readings((1..=3).map(|ts| reading("a", ts, ts as f64)))]);
    let events = [event(9, 1), event(4, 1), event(9, 2)];
    let outcomes = events.map(|event| ScoreOutcome::Scored(Box::new(detection(1, Some(event))))).to_vec();
    let anomalies = batch_of(read, vec![outcomes]).anomalies;
    let stored: Vec<_> = anomalies.iter().map(|row| (row.started.0, row.readings)).collect();
    assert_eq!(stored, [(9, 2), (4, 1)]);
}

#[test]
fn a_control_entry_is_not_counted_as_delivered_and_a_loss_is_kept() {
    let control = Entry::of_control(9, Control::Detectors("{}".to_owned()));
    let mut read = collect(vec![control]);
    let loss = LogLoss { after: at(1), before: at(3) };
    read.ranges[0].losses = vec![loss];
    let batch = batch_of(read, Vec::new());
    assert_eq!((batch.delivered, batch.detectors.as_deref()), (0, Some("{}")));
    assert_eq!(batch.losses, [loss]);
    assert_eq!(batch.received, [9]);
}

#[test]
fn dead_letters_of_the_log_are_not_changed() {
    let dead_letter = DeadLetter::new("a/b", Reason::MalformedJson, "", b"{");
    let record = Record { received: 4, redelivered: true, item: Item::DeadLetter(dead_letter.clone()) };
    let read = collect(vec![Entry { predecessor: at(2), records: vec![record] }]);
    let batch = batch_of(read, Vec::new());
    let logged = &batch.dead_letters[0];
    assert_eq!((logged.received, logged.redelivered, &logged.dead_letter), (4, true, &dead_letter));
    assert_eq!(batch.delivered, 1);
}

/// A batch is stored at the places of its readings; a duplicate is counted, a conflict is a dead
/// letter.
#[test]
fn shifted_readings_duplicates_and_conflicts_are_told_apart() {
    let read = collect(vec![readings((1..=5).map(|ts| reading("a", ts, 0.0)))]);
    let detection = ScoreOutcome::Scored(Box::new(detection(1, None)));
    let outcomes = vec![
        detection.clone(),
        detection,
        ScoreOutcome::NotNewer,
        ScoreOutcome::Duplicate,
        ScoreOutcome::Conflict,
    ];
    let mut scored = scored(outcomes);
    scored.places[0].era = 2;
    scored.places[1] = Place { ts: Timestamp(12), shifted: true, era: 2 };
    scored.places[2] = Place { ts: Timestamp(13), shifted: true, era: 2 };
    let state = ClockState { late: 1, last_late: Timestamp(13), ahead_of: None };
    scored.clock.state = Some(state);
    scored.clock.late_from = Some(2);
    let batch = {
        let mut read = read;
        assemble(read.ranges.remove(0), &read.sensors, &[scored])
    };
    let rows: Vec<_> = batch.rows.iter().map(|logged| &logged.row).collect();
    assert_eq!((rows[0].ts, rows[0].era, Flag::Shifted.is_in(rows[0].flags)), (Timestamp(1), 2, false));
    assert_eq!((rows[1].ts, rows[1].era, Flag::Shifted.is_in(rows[1].flags)), (Timestamp(12), 2, true));
    assert_eq!((batch.late[0].reading.ts, batch.late[0].shifted), (Timestamp(13), true));
    assert_eq!(batch.duplicates, 1);
    assert_eq!(batch.dead_letters[0].dead_letter.reason, Reason::TimestampConflict);
    let clock = batch.clocks.values().next().unwrap();
    assert_eq!((clock.state, clock.since, clock.received), (state, Some(Timestamp(3)), Timestamp(5)));
}
