//! What was read from the log, taken apart: a slot for every record, and the readings gathered by sensor. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use thicket_schema::{
    Control, DeadLetter, Entry, Item, PartitionId, RecordPosition, Position, Reading, Reason, SensorName,
};

use thicket_store::postgres::{QuarantineReason, QuarantineList};
use thicket_protocol::log::is_gap;
use thicket_store::redis::LogEntry;
use thicket_store::postgres::{AppliedLabel, LoggedDeadLetter, LogLoss};

/// A range of one partition's log, with a slot for each of its records.
#[derive(Debug)]
pub(super) struct LogRange {
    pub(super) partition: PartitionId,
    pub(super) epoch: i64,
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) slots: Vec<RecordSlot>,
    /// The label that it consists of, if a detector has heard it.
    pub(super) heard: Option<AppliedLabel>,
    /// What was lost before one of its entries.
    pub(super) losses: Vec<LogLoss>,
}

/// A record and its place.
#[derive(Debug)]
pub(super) struct RecordSlot {
    pub(super) place: RecordPosition,
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
pub(super) struct SensorBatch {
    pub(super) partition: PartitionId,
    pub(super) epoch: i64,
    pub(super) sensor: SensorName,
    pub(super) readings: Arc<Vec<Reading>>,
    /// Where each of them stands.
    pub(super) places: Vec<RecordPosition>,
    /// Those that are to be skipped.
    pub(super) skips: Skips,
}

/// Readings of a job that are to be skipped, by their index, and why.
pub(super) type Skips = BTreeMap<usize, (QuarantineReason, String)>;

/// Everything that one read brought.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) ranges: Vec<LogRange>,
    pub(super) jobs: Vec<SensorBatch>,
}

/// Cuts a range of the log so that a control entry stands suspect_lock: what is before it is dealt with first, what is after it is read again.
pub(super) fn cut_at_control(entries: &mut Vec<LogEntry>) {
    if let Some(first) = entries.iter().position(|entry| Entry::is_control(&entry.bytes)) {
        entries.truncate(first.max(1));
    }
}

impl LogRange {
    /// Its first entry.
    pub(super) fn first(&self) -> Position {
        self.slots.first().map_or(self.to, |slot| slot.place.position)
    }

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
    ranges: Vec<LogRange>,
    jobs: Vec<Gathered>,
    job_of: BTreeMap<SensorName, usize>,
}

/// A job in the making.
#[derive(Debug)]
struct Gathered {
    partition: PartitionId,
    epoch: i64,
    sensor: SensorName,
    readings: Vec<Reading>,
    places: Vec<RecordPosition>,
    skips: Skips,
}

impl Collector {
    /// Takes the entries of a partition that follow `from`.
    pub(super) fn take(
        &mut self,
        partition: PartitionId,
        epoch: i64,
        from: Position,
        verdicts: &QuarantineList,
        entries: Vec<LogEntry>,
    ) {
        let mut slots = Vec::new();
        let mut losses = Vec::new();
        let mut last = from;
        for LogEntry { position, bytes } in entries {
            match Entry::decode(&bytes) {
                Ok(entry) => {
                    if is_gap(last, entry.predecessor) {
                        losses.push(LogLoss { after: last, before: position });
                    }
                    for (item, record) in entry.records.into_iter().enumerate() {
                        let place = RecordPosition { position, item: item as u32 };
                        let content = match record.item {
                            Item::Reading(reading) => {
                                self.gather((partition, epoch), reading, place, verdicts.get(&place))
                            }
                            Item::DeadLetter(letter) => Content::Letter(letter),
                            Item::Control(control) => Content::Control(control),
                        };
                        let (received, redelivered) = (record.received, record.redelivered);
                        slots.push(RecordSlot { place, received, redelivered, content });
                    }
                }
                Err(error) => {
                    let letter = DeadLetter::new("", Reason::BadEntry, &error.to_string(), &bytes);
                    // No arrival time can be read from it; a wall clock would make the row depend on when it was read.
                    slots.push(RecordSlot {
                        place: RecordPosition { position, item: 0 },
                        received: 0,
                        redelivered: false,
                        content: Content::Letter(letter),
                    });
                }
            }
            last = position;
        }
        self.ranges.push(LogRange { partition, epoch, from, to: last, slots, heard: None, losses });
    }

    fn gather(
        &mut self,
        (partition, epoch): (PartitionId, i64),
        reading: Reading,
        place: RecordPosition,
        verdict: Option<&(QuarantineReason, String)>,
    ) -> Content {
        let job = if let Some(&job) = self.job_of.get(&reading.sensor) {
            job
        } else {
            let job = self.jobs.len();
            self.job_of.insert(reading.sensor.clone(), job);
            let sensor = reading.sensor.clone();
            let (readings, places, skips) = (Vec::new(), Vec::new(), Skips::new());
            self.jobs.push(Gathered { partition, epoch, sensor, readings, places, skips });
            job
        };
        let gathered = &mut self.jobs[job];
        let index = gathered.readings.len();
        gathered.readings.push(reading);
        gathered.places.push(place);
        gathered.skips.extend(verdict.map(|verdict| (index, verdict.clone())));
        Content::Reading { job, index }
    }

    /// The work.
    pub(super) fn finish(self) -> Work {
        let jobs = self
            .jobs
            .into_iter()
            .map(|Gathered { partition, epoch, sensor, readings, places, skips }| SensorBatch {
                partition,
                epoch,
                sensor,
                readings: Arc::new(readings),
                places,
                skips,
            })
            .collect();
        Work { ranges: self.ranges, jobs }
    }
}

impl RecordSlot {
    /// The dead letter's row.
    pub(super) fn letter_row(&self, letter: DeadLetter) -> LoggedDeadLetter {
        let Self { place: RecordPosition { position, item }, received, redelivered, .. } = *self;
        LoggedDeadLetter { position, item, received, redelivered, letter }
    }
}
