//! The scenario as a sequence of messages: batches readings, holds some back, repeats some, strews in nonsense.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;

use super::{ReplayOptions, faults::FaultPlan, payload};
use crate::{
    ledger::{Disposition, Label},
    scenario::{Event, Reading, Scenario},
};

/// A message to publish, with what the ledger will say about it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    /// The event time at which the message came to be, in µs.
    pub(super) due: i64,
    /// Whether it belongs to the live phase.
    pub(super) live: bool,
    pub(super) content: Content,
    /// Events that began since the message before.
    pub(super) labels: Vec<Label>,
    /// Number of events that ended since the message before.
    pub(super) events_ended: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Readings { disposition: Disposition, sensor: usize, readings: Vec<Reading> },
    Malformed,
}

impl Message {
    /// Readings it carries; nonsense carries none.
    pub(super) fn readings(&self) -> u64 {
        match &self.content {
            Content::Readings { readings, .. } => readings.len() as u64,
            Content::Malformed => 0,
        }
    }
}

/// Produces the messages of a replay, one after the other, without end if it is live.
pub(super) struct Feed {
    scenario: Arc<Scenario>,
    topics: Vec<Arc<str>>,
    plan: FaultPlan,
    frames: u64,
    live: bool,
    batch: usize,
    /// The next frame, and the next sensor's place in the order of reporting.
    frame: u64,
    place: usize,
    /// Readings that wait for their message to fill, per sensor.
    waiting: Vec<Vec<Reading>>,
    /// Readings that are held back, by the frame and sensor after which they go.
    held: BTreeMap<(u64, usize), Vec<Reading>>,
    ready: VecDeque<Message>,
    labels: Vec<Label>,
    events_ended: u64,
    finished: bool,
}

impl Feed {
    pub(super) fn new(scenario: &Arc<Scenario>, options: &ReplayOptions) -> Self {
        let prefix = &options.topic_prefix;
        let topics: Vec<Arc<str>> =
            scenario.sensors().iter().map(|sensor| format!("{prefix}{}", sensor.name).into()).collect();
        Self {
            plan: FaultPlan::new(scenario.options().seed, options.faults),
            waiting: vec![Vec::new(); topics.len()],
            topics,
            scenario: Arc::clone(scenario),
            frames: options.frames,
            live: options.live,
            batch: options.batch,
            frame: 0,
            place: 0,
            held: BTreeMap::new(),
            ready: VecDeque::new(),
            labels: Vec::new(),
            events_ended: 0,
            finished: false,
        }
    }

    /// The topic of a sensor.
    pub(super) fn topic(&self, sensor: usize) -> &Arc<str> {
        &self.topics[sensor]
    }

    pub(super) fn next(&mut self) -> Option<Message> {
        while self.ready.is_empty() && !self.finished {
            self.step();
        }
        self.ready.pop_front()
    }

    /// Takes in one reading.
    fn step(&mut self) {
        if self.frame == self.frames && self.place == 0 && self.frames > 0 {
            self.end_history();
        }
        if self.frame >= self.frames && !self.live {
            self.finished = true;
            return;
        }
        let (frame, sensor) = (self.frame, self.scenario.reporting_order()[self.place]);
        self.place += 1;
        if self.place == self.topics.len() {
            (self.place, self.frame) = (0, frame + 1);
        }

        let (reading, event) = self.scenario.observe(sensor, frame);
        self.note(sensor, frame, event);
        if let Some(payload) = self.plan.malformed(sensor, frame, reading.ts) {
            self.emit(sensor, payload.into(), reading.ts, Content::Malformed);
        }
        let has_successor = self.live || frame + 1 < self.frames;
        if let Some(frames) = self.plan.held_back(sensor, frame).filter(|_| has_successor) {
            self.held.entry((frame + frames, sensor)).or_default().push(reading);
        } else {
            self.waiting[sensor].push(reading);
            if self.waiting[sensor].len() >= self.batch || frame >= self.frames {
                self.send_waiting(sensor);
            }
        }
        if !self.held.is_empty()
            && let Some(late) = self.held.remove(&(frame, sensor))
        {
            self.send_late(sensor, late, reading.ts);
        }
    }

    /// Nothing of the history stays behind.
    fn end_history(&mut self) {
        for sensor in 0..self.topics.len() {
            self.send_waiting(sensor);
        }
        if !self.live {
            for ((_, sensor), late) in mem::take(&mut self.held) {
                let due = self.scenario.timestamp(sensor, self.frames - 1);
                self.send_late(sensor, late, due);
            }
        }
    }

    fn send_waiting(&mut self, sensor: usize) {
        let readings = mem::take(&mut self.waiting[sensor]);
        let (Some(first), Some(last)) = (readings.first(), readings.last()) else { return };
        let (duplicated, due) = (self.plan.duplicated(sensor, first.frame), last.ts);
        let payload = Bytes::from(payload::encode(&readings));
        if duplicated {
            let copy =
                Content::Readings { disposition: Disposition::Duplicate, sensor, readings: readings.clone() };
            self.emit(
                sensor,
                payload.clone(),
                due,
                Content::Readings { disposition: Disposition::Plain, sensor, readings },
            );
            self.emit(sensor, payload, due, copy);
        } else {
            self.emit(
                sensor,
                payload,
                due,
                Content::Readings { disposition: Disposition::Plain, sensor, readings },
            );
        }
    }

    /// Late readings go alone, after what their sensor has waiting: otherwise they would not be late.
    fn send_late(&mut self, sensor: usize, late: Vec<Reading>, due: i64) {
        self.send_waiting(sensor);
        for reading in late {
            let readings = vec![reading];
            let payload = payload::encode(&readings).into();
            self.emit(
                sensor,
                payload,
                due,
                Content::Readings { disposition: Disposition::Late, sensor, readings },
            );
        }
    }

    fn emit(&mut self, sensor: usize, payload: Bytes, due: i64, content: Content) {
        let live = due >= self.scenario.timestamp(sensor, self.frames);
        self.ready.push_back(Message {
            topic: Arc::clone(&self.topics[sensor]),
            payload,
            due,
            live,
            content,
            labels: mem::take(&mut self.labels),
            events_ended: mem::take(&mut self.events_ended),
        });
    }

    fn note(&mut self, sensor: usize, frame: u64, event: Option<Event>) {
        let Some(event) = event else { return };
        if event.first_frame == frame {
            self.labels.push(Label {
                sensor: self.scenario.sensors()[sensor].name.clone(),
                class: event.class,
                start: self.scenario.timestamp(sensor, event.first_frame),
                end: self.scenario.timestamp(sensor, event.last_frame),
                salience_db: (event.salience_db * 100.0).round() / 100.0,
            });
        }
        if event.last_frame == frame {
            self.events_ended += 1;
        }
    }
}

#[cfg(test)]
mod tests;
