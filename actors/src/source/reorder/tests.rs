use std::collections::BTreeMap;

use proptest::prelude::*;
use thicket_schema::{DeadLetter, Reason};

use super::*;
use crate::testing::{reading, record_of};

const HOLD: Duration = Duration::from_secs(30);

/// A reading whose value is the number of its record.
fn record(sensor: &str, ts: i64, number: usize) -> (PartitionId, Record) {
    (PartitionId(0), record_of(reading(sensor, ts, number as f64)))
}

fn dead_letter() -> (PartitionId, Record) {
    let letter = DeadLetter::new("t", Reason::Empty, "", b"");
    (PartitionId(0), Record { received: 0, redelivered: false, item: Item::DeadLetter(letter) })
}

/// Sensor and time of each reading.
fn readings<T>(parts: &[Part<T>]) -> Vec<(String, i64)> {
    let records = parts.iter().flat_map(|part| &part.records);
    let readings = records.filter_map(|(_, record)| match &record.item {
        Item::Reading(reading) => Some((reading.sensor.to_string(), reading.ts.0)),
        Item::DeadLetter(_) | Item::Control(_) => None,
    });
    readings.collect()
}

fn ended<T: Copy>(parts: &[Part<T>]) -> Vec<T> {
    parts.iter().filter_map(|part| part.ends).collect()
}

#[test]
fn a_reading_leaves_after_its_hold_and_after_earlier_ones_of_its_sensor() {
    let mut reorder = Reorder::new(HOLD, 100);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(reorder.push(vec![record("a", 30, 0)], 'x', at(0)).is_none());
    assert!(reorder.push(vec![record("b", 5, 1)], 'y', at(1)).is_none());
    assert!(reorder.push(vec![record("a", 10, 2)], 'z', at(2)).is_none());
    assert!(reorder.push(vec![record("a", 40, 3)], 'w', at(3)).is_none());
    assert_eq!(reorder.next_release(), Some(at(30)));
    assert!(reorder.due(at(29)).is_empty());
    let released = reorder.due(at(30));
    assert_eq!(readings(&released), [("a".to_owned(), 10), ("a".to_owned(), 30)]);
    assert_eq!(ended(&released), ['z', 'x'], "the earlier reading leaves before its own time");
    assert_eq!(ended(&reorder.due(at(31))), ['y']);
    assert_eq!((ended(&reorder.all()), reorder.messages()), (vec!['w'], 0));
}

#[test]
fn a_message_ends_with_the_last_of_its_records() {
    let mut reorder = Reorder::new(HOLD, 100);
    let now = Instant::now();
    let at_once = reorder.push(vec![record("a", 10, 0), dead_letter(), record("b", 20, 1)], 1, now);
    let at_once = at_once.expect("the dead letter does not wait");
    assert_eq!((at_once.records.len(), at_once.ends), (1, None));
    reorder.push(vec![record("a", 5, 2)], 2, now);
    let released = reorder.all();
    let shape: Vec<_> = released.iter().map(|part| (part.records.len(), part.ends)).collect();
    assert_eq!(shape, [(1, Some(2)), (2, Some(1))]);
    let at_once = reorder.push(vec![dead_letter()], 3, now).unwrap();
    assert_eq!((at_once.records.len(), at_once.ends), (1, Some(3)));
}

#[test]
fn messages_that_the_broker_delivers_again_are_forgotten() {
    let mut reorder = Reorder::new(HOLD, 100);
    let now = Instant::now();
    for (number, token) in [1, 2, 3].into_iter().enumerate() {
        reorder.push(vec![record("a", 10 - token, number), record("b", token, number)], token, now);
    }
    reorder.forget(|token| *token != 2);
    assert_eq!(reorder.messages(), 1);
    assert_eq!(readings(&reorder.all()), [("a".to_owned(), 8), ("b".to_owned(), 2)]);
}

/// Plays messages into a buffer and notes what leaves.
struct Play {
    reorder: Reorder<usize>,
    now: Instant,
    /// The records that have arrived: sensor, time, message, arrival.
    arrived: Vec<(usize, i64, usize, Instant)>,
    /// The records that have left: number, and how many records had arrived by then.
    left: Vec<(usize, usize)>,
    /// The messages that have ended, each with the number of records that had left by then.
    ended: BTreeMap<usize, usize>,
}

impl Play {
    fn leave(&mut self, parts: Vec<Part<usize>>) {
        for part in parts {
            for (_, record) in &part.records {
                let Item::Reading(reading) = &record.item else { panic!("{record:?}") };
                self.left.push((reading.values[0] as usize, self.arrived.len()));
                let (_, _, _, arrival) = self.arrived[reading.values[0] as usize];
                assert!(self.now <= arrival + HOLD + LONGEST_PAUSE);
            }
            if let Some(message) = part.ends {
                assert_eq!(self.ended.insert(message, self.left.len()), None, "it ends once");
            }
        }
    }

    fn message(&mut self, message: usize, pause: Duration, readings: &[(usize, i64)]) {
        self.now += pause;
        let due = self.reorder.due(self.now);
        self.leave(due);
        let mut records = Vec::new();
        for &(sensor, ts) in readings {
            records.push(record(["a", "b", "c"][sensor], ts, self.arrived.len()));
            self.arrived.push((sensor, ts, message, self.now));
        }
        assert!(self.reorder.push(records, message, self.now).is_none(), "every record waits");
        let (surplus, early) = self.reorder.surplus();
        assert_eq!(early, surplus.iter().map(|part| part.records.len()).sum::<usize>());
        self.leave(surplus);
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(20);

proptest! {
    #[test]
    fn every_reading_leaves_once_and_in_order_if_it_arrived_in_time(
        messages in prop::collection::vec(
            (0..=LONGEST_PAUSE.as_secs(), prop::collection::vec((0_usize..3, 0_i64..50), 1..4)),
            1..60,
        ),
        max_messages in 1_usize..40,
    ) {
        let (reorder, now) = (Reorder::new(HOLD, max_messages), Instant::now());
        let mut play =
            Play { reorder, now, arrived: Vec::new(), left: Vec::new(), ended: BTreeMap::new() };
        for (number, (pause, readings)) in messages.iter().enumerate() {
            play.message(number, Duration::from_secs(*pause), readings);
            prop_assert!(play.reorder.messages() <= max_messages);
        }
        let rest = play.reorder.all();
        play.leave(rest);
        let Play { reorder, arrived, left, ended, .. } = play;
        prop_assert!(reorder.messages() == 0 && reorder.next_release().is_none());
        prop_assert_eq!(ended.len(), messages.len());
        let mut numbers: Vec<usize> = left.iter().map(|(number, _)| *number).collect();
        for (place, &(number, arrivals)) in left.iter().enumerate() {
            let (sensor, ts, message, _) = arrived[number];
            prop_assert!(ended[&message] > place, "a message ends after its records");
            for &(later, _) in &left[place + 1..] {
                // A record of the sensor that leaves later is newer, or was not there yet.
                let in_order = arrived[later].0 != sensor || arrived[later].1 >= ts || later >= arrivals;
                prop_assert!(in_order, "{number} before {later}");
            }
        }
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..arrived.len()).collect::<Vec<_>>());
    }
}
