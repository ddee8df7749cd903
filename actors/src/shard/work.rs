//! What was read from the log, taken apart: a slot for every record, and the readings gathered by sensor. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use thicket_schema::{Control, DeadLetter, Entry, Item, PartitionId, Position, Reading, Reason, SensorName};

use crate::queue::LogEntry;
use crate::writer::{HeardLabel, LetterRow};

/// A stretch of one partition's log, with a slot for each of its records.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) partition: PartitionId,
    pub(super) epoch: i64,
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) slots: Vec<Slot>,
    /// The label that it consists of, if a detector has heard it.
    pub(super) heard: Option<HeardLabel>,
}

/// A record and its place.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) position: Position,
    pub(super) item: u32,
    pub(super) received: i64,
    pub(super) redelivered: bool,
    pub(super) content: Content,
}

/// What a record holds.
#[derive(Debug)]
pub(super) enum Content {
    /// A reading: the n-th of the j-th job.
    Reading { job: usize, index: usize },
    /// A dead letter.
    Letter(DeadLetter),
    /// What changes how the readings after it are scored.
    Control(Control),
}

/// The readings of one sensor, in the order of the log.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) partition: PartitionId,
    pub(super) sensor: SensorName,
    pub(super) readings: Arc<Vec<Reading>>,
}

/// Everything that one read brought.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) stretches: Vec<Stretch>,
    pub(super) jobs: Vec<Job>,
}

/// Entries that Redis acknowledged and then did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) partition: PartitionId,
    /// The last entry before the gap.
    pub(super) after: Position,
    /// The entry that should have followed it was this one's predecessor.
    pub(super) before: Position,
}

/// Cuts a stretch of the log so that a control entry stands alone: what is before it is dealt with first, what is after it is read again.
pub(super) fn cut_at_control(entries: &mut Vec<LogEntry>) {
    if let Some(first) = entries.iter().position(|entry| Entry::is_control(&entry.bytes)) {
        entries.truncate(first.max(1));
    }
}

impl Stretch {
    /// The control that it consists of.
    pub(super) fn control(&self) -> Option<&Control> {
        self.slots.iter().find_map(|slot| match &slot.content {
            Content::Control(control) => Some(control),
            _ => None,
        })
    }
}

/// Collects the work of one read.
#[derive(Debug, Default)]
pub(super) struct Collector {
    stretches: Vec<Stretch>,
    jobs: Vec<(PartitionId, SensorName, Vec<Reading>)>,
    job_of: BTreeMap<SensorName, usize>,
    gaps: Vec<Gap>,
}

impl Collector {
    /// Takes the entries of a partition that follow `from`.
    pub(super) fn take(
        &mut self,
        partition: PartitionId,
        epoch: i64,
        from: Position,
        entries: Vec<LogEntry>,
    ) {
        let mut slots = Vec::new();
        let mut last = from;
        for LogEntry { position, bytes } in entries {
            match Entry::decode(&bytes) {
                Ok(entry) => {
                    if entry.predecessor != last {
                        self.gaps.push(Gap { partition, after: last, before: position });
                    }
                    for (item, record) in entry.records.into_iter().enumerate() {
                        let content = match record.item {
                            Item::Reading(reading) => self.gather(partition, reading),
                            Item::DeadLetter(letter) => Content::Letter(letter),
                            Item::Control(control) => Content::Control(control),
                        };
                        let (received, redelivered) = (record.received, record.redelivered);
                        slots.push(Slot { position, item: item as u32, received, redelivered, content });
                    }
                }
                Err(error) => {
                    let letter = DeadLetter::new("", Reason::BadEntry, &error.to_string(), &bytes);
                    // No arrival time can be read from it; a wall clock would make the row depend on when it was read.
                    slots.push(Slot {
                        position,
                        item: 0,
                        received: 0,
                        redelivered: false,
                        content: Content::Letter(letter),
                    });
                }
            }
            last = position;
        }
        self.stretches.push(Stretch { partition, epoch, from, to: last, slots, heard: None });
    }

    fn gather(&mut self, partition: PartitionId, reading: Reading) -> Content {
        let job = if let Some(&job) = self.job_of.get(&reading.sensor) {
            job
        } else {
            let job = self.jobs.len();
            self.job_of.insert(reading.sensor.clone(), job);
            self.jobs.push((partition, reading.sensor.clone(), Vec::new()));
            job
        };
        let readings = &mut self.jobs[job].2;
        readings.push(reading);
        Content::Reading { job, index: readings.len() - 1 }
    }

    /// The work, and the gaps that were met.
    pub(super) fn finish(self) -> (Work, Vec<Gap>) {
        let jobs = self
            .jobs
            .into_iter()
            .map(|(partition, sensor, readings)| Job { partition, sensor, readings: Arc::new(readings) })
            .collect();
        (Work { stretches: self.stretches, jobs }, self.gaps)
    }
}

impl Slot {
    /// The dead letter's row.
    pub(super) fn letter_row(&self, letter: DeadLetter) -> LetterRow {
        let Self { position, item, received, redelivered, .. } = *self;
        LetterRow { position, item, received, redelivered, letter }
    }
}
