//! Holds readings back for a time, to put the readings of a sensor in the order of their times. The
//! log then has this order, so every replay has it too. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use thicket_schema::{Item, PartitionId, Record, SensorName, Timestamp};
use tokio::time::Instant;

/// Records to append. The parts of one release follow each other.
#[derive(Debug)]
pub(super) struct Part<T> {
    /// The records, each with the partition of its sensor.
    pub(super) records: Vec<(PartitionId, Record)>,
    /// The token of the message that ends with these records; `None` if none ends.
    pub(super) ends: Option<T>,
}

/// The readings that are held back. `T` is the token of a message, such as its acknowledgement: it
/// leaves with the last record of its message.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    hold: Duration,
    max_messages: usize,
    /// The number of the next record or message.
    next: u64,
    /// The held records by number, which is the order of their arrival and of their ends.
    arrivals: BTreeMap<u64, Arrival>,
    /// The held records of each sensor, by time and number.
    sensors: HashMap<SensorName, BTreeMap<(Timestamp, u64), Held>>,
    messages: BTreeMap<u64, Message<T>>,
}

#[derive(Debug)]
struct Arrival {
    until: Instant,
    sensor: SensorName,
    ts: Timestamp,
}

#[derive(Debug)]
struct Held {
    record: (PartitionId, Record),
    /// The number of its message.
    message: u64,
}

#[derive(Debug)]
struct Message<T> {
    /// Number of its records that are held.
    held: usize,
    token: T,
}

impl<T> Reorder<T> {
    /// Creates an empty buffer, which holds each reading for `hold` and at most `max_messages`
    /// messages: none if it is 0.
    pub(super) fn new(hold: Duration, max_messages: usize) -> Self {
        Self {
            hold,
            max_messages,
            next: 0,
            arrivals: BTreeMap::new(),
            sensors: HashMap::new(),
            messages: BTreeMap::new(),
        }
    }

    /// Whether readings are held back at all.
    pub(super) const fn is_on(&self) -> bool {
        !self.hold.is_zero()
    }

    /// Returns the number of messages of which records are held.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Returns when the next record must be released.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.arrivals.first_key_value().map(|(_, arrival)| arrival.until)
    }

    /// Takes the records of a message. Returns those that must not wait: records that are no
    /// readings, and all if no reading is among them.
    pub(super) fn push(
        &mut self,
        records: Vec<(PartitionId, Record)>,
        token: T,
        now: Instant,
    ) -> Option<Part<T>> {
        let message = self.number();
        let mut at_once = Vec::new();
        let mut held = 0;
        for record in records {
            let Item::Reading(reading) = &record.1.item else {
                at_once.push(record);
                continue;
            };
            let (sensor, ts) = (reading.sensor.clone(), reading.ts);
            let number = self.number();
            held += 1;
            self.sensors.entry(sensor.clone()).or_default().insert((ts, number), Held { record, message });
            self.arrivals.insert(number, Arrival { until: now + self.hold, sensor, ts });
        }
        if held == 0 {
            return Some(Part { records: at_once, ends: Some(token) });
        }
        self.messages.insert(message, Message { held, token });
        (!at_once.is_empty()).then_some(Part { records: at_once, ends: None })
    }

    /// Returns the records whose time is over, each after the held records of its sensor with
    /// earlier times.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Part<T>> {
        let mut parts = Parts::default();
        while let Some((&number, arrival)) = self.arrivals.first_key_value()
            && arrival.until <= now
        {
            self.release(number, &mut parts);
        }
        parts.end()
    }

    /// Returns records before their time, until no more messages are held than allowed. Also
    /// returns the number of these records.
    pub(super) fn surplus(&mut self) -> (Vec<Part<T>>, usize) {
        let mut parts = Parts::default();
        while self.messages.len() > self.max_messages
            && let Some((&number, _)) = self.arrivals.first_key_value()
        {
            self.release(number, &mut parts);
        }
        let early = parts.released;
        (parts.end(), early)
    }

    /// Returns all records.
    pub(super) fn all(&mut self) -> Vec<Part<T>> {
        let mut parts = Parts::default();
        while let Some((&number, _)) = self.arrivals.first_key_value() {
            self.release(number, &mut parts);
        }
        parts.end()
    }

    /// Drops the held records of the messages whose token has this property.
    pub(super) fn forget(&mut self, is_forgotten: impl Fn(&T) -> bool) {
        self.messages.retain(|_, message| !is_forgotten(&message.token));
        let messages = &self.messages;
        let arrivals = &mut self.arrivals;
        self.sensors.retain(|_, held| {
            held.retain(|(_, number), held| {
                let is_kept = messages.contains_key(&held.message);
                if !is_kept {
                    arrivals.remove(number);
                }
                is_kept
            });
            !held.is_empty()
        });
    }

    /// Releases a record after the held records of its sensor with earlier times.
    fn release(&mut self, number: u64, parts: &mut Parts<T>) {
        let Some(Arrival { sensor, ts, .. }) = self.arrivals.remove(&number) else { return };
        let Some(held) = self.sensors.get_mut(&sensor) else { return };
        let later = held.split_off(&(ts, number + 1));
        let released = std::mem::replace(held, later);
        if held.is_empty() {
            self.sensors.remove(&sensor);
        }
        for ((_, number), Held { record, message }) in released {
            self.arrivals.remove(&number);
            parts.push(record);
            let is_last = self.messages.get_mut(&message).is_some_and(|message| {
                message.held -= 1;
                message.held == 0
            });
            if is_last && let Some(message) = self.messages.remove(&message) {
                parts.end_message(message.token);
            }
        }
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Collects the parts of a release.
#[derive(Debug)]
struct Parts<T> {
    done: Vec<Part<T>>,
    open: Vec<(PartitionId, Record)>,
    released: usize,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { done: Vec::new(), open: Vec::new(), released: 0 }
    }
}

impl<T> Parts<T> {
    fn push(&mut self, record: (PartitionId, Record)) {
        self.open.push(record);
        self.released += 1;
    }

    fn end_message(&mut self, token: T) {
        self.done.push(Part { records: std::mem::take(&mut self.open), ends: Some(token) });
    }

    fn end(mut self) -> Vec<Part<T>> {
        if !self.open.is_empty() {
            self.done.push(Part { records: self.open, ends: None });
        }
        self.done
    }
}

#[cfg(test)]
mod tests;
