//! Turns the scenario into a sequence of messages: batches readings, holds some back, copies some,
//! and inserts malformed messages.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;

use super::{faults::FaultPlan, options::ReplayOptions, payload};
use crate::{
    manifest::{Disposition, InjectedEvent},
    scenario::{Event, Reading, Scenario},
};

/// A message to publish, with the data for its record in the manifest.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    /// The event time at which a device would publish the message, in µs since the Unix epoch.
    pub(super) due: i64,
    /// Whether the message belongs to the live phase.
    pub(super) live: bool,
    pub(super) content: Content,
    /// Events that began since the previous message.
    pub(super) events_begun: Vec<InjectedEvent>,
    /// Number of events that ended since the previous message.
    pub(super) events_ended: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Readings { disposition: Disposition, sensor: usize, readings: Vec<Reading> },
    Malformed,
}

impl Message {
    /// Returns the number of readings in the message; 0 if it is malformed.
    pub(super) fn readings(&self) -> u64 {
        match &self.content {
            Content::Readings { readings, .. } => readings.len() as u64,
            Content::Malformed => 0,
        }
    }
}

/// Produces the messages of a replay in order. A live replay has no end.
pub(super) struct Feed {
    scenario: Arc<Scenario>,
    topics: Vec<Arc<str>>,
    plan: FaultPlan,
    frames: u64,
    live: bool,
    batch: usize,
    /// The next frame.
    frame: u64,
    /// The next sensor, as an index into the scenario's reporting order.
    order_index: usize,
    /// Per sensor, the readings of a message that is not full yet.
    waiting: Vec<Vec<Reading>>,
    /// Readings that are held back, by the frame and the sensor after which they are published.
    held: BTreeMap<(u64, usize), Vec<Reading>>,
    ready: VecDeque<Message>,
    events_begun: Vec<InjectedEvent>,
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
            frame: options.first_frame,
            order_index: 0,
            held: BTreeMap::new(),
            ready: VecDeque::new(),
            events_begun: Vec::new(),
            events_ended: 0,
            finished: false,
        }
    }

    /// Returns the topic of a sensor.
    pub(super) fn topic(&self, sensor: usize) -> &Arc<str> {
        &self.topics[sensor]
    }

    /// Returns the name that the engine gives to a sensor: the topic after `sensors/`. Other
    /// prefixes need a template of their own, and the name is then that of the scenario.
    pub(super) fn name(&self, sensor: usize) -> &str {
        self.topics[sensor].strip_prefix("sensors/").unwrap_or(&self.scenario.sensors()[sensor].name)
    }

    /// Returns the next message, or `None` after the last one.
    pub(super) fn next(&mut self) -> Option<Message> {
        while self.ready.is_empty() && !self.finished {
            self.step();
        }
        self.ready.pop_front()
    }

    /// Takes the next reading of the scenario.
    fn step(&mut self) {
        if self.frame == self.frames && self.order_index == 0 && self.frames > 0 {
            self.end_history();
        }
        if self.frame >= self.frames && !self.live {
            self.finished = true;
            return;
        }
        let (frame, sensor) = (self.frame, self.scenario.reporting_order()[self.order_index]);
        self.order_index += 1;
        if self.order_index == self.topics.len() {
            (self.order_index, self.frame) = (0, frame + 1);
        }

        let (reading, event) = self.scenario.observe(sensor, frame);
        self.note_event(sensor, frame, event);
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

    /// Sends all readings of the history that are still waiting or, if no live phase follows, held
    /// back.
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

    /// Sends late readings, one per message. First sends the readings of the sensor that wait:
    /// otherwise the late readings would not be late.
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
            events_begun: mem::take(&mut self.events_begun),
            events_ended: mem::take(&mut self.events_ended),
        });
    }

    /// Notes whether an event begins or ends at this reading.
    fn note_event(&mut self, sensor: usize, frame: u64, event: Option<Event>) {
        let Some(event) = event else { return };
        if event.first_frame == frame {
            self.events_begun.push(InjectedEvent {
                sensor: self.name(sensor).to_owned(),
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
