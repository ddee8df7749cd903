//! Turns log entries into a slot for every record, and gathers the readings by sensor. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use thicket_protocol::log::is_gap;
use thicket_protocol::progress::Progress;
use thicket_schema::{
    Control, DeadLetter, Entry, EntryError, Item, PartitionId, Position, Reading, Reason, RecordPosition,
    SensorId, SensorName,
};
use thicket_store::postgres::{
    AppliedLabel, DetectorReset, LogLoss, LoggedDeadLetter, QuarantineList, QuarantineReason,
};
use thicket_store::redis::LogEntry;

/// The decoded entries of one read.
#[derive(Debug, Default)]
pub(super) struct ReadBatch {
    /// One range per partition.
    pub(super) ranges: Vec<LogRange>,
    /// The readings of each sensor.
    pub(super) sensors: Vec<SensorBatch>,
    /// The partitions whose next entry a newer build has written.
    pub(super) refused: Vec<UnknownEntry>,
}

/// The next entry of a partition, if only a newer build can apply it.
#[derive(Debug)]
pub(super) struct UnknownEntry {
    pub(super) partition: PartitionId,
    /// The epoch under which it was read.
    pub(super) epoch: i64,
    pub(super) position: Position,
    /// Why this build cannot apply it.
    pub(super) cause: EntryError,
}

/// A range of one partition's log, with a slot for each of its records.
#[derive(Debug)]
pub(super) struct LogRange {
    pub(super) partition: PartitionId,
    pub(super) epoch: i64,
    /// The last entry before the range.
    pub(super) from: Position,
    /// The last entry of the range.
    pub(super) to: Position,
    pub(super) slots: Vec<RecordSlot>,
    /// The label of the range, if the range is a label and a detector has applied it.
    pub(super) applied: Option<AppliedLabel>,
    /// The detector that began again, if the range is the request.
    pub(super) reset: Option<(SensorId, DetectorReset)>,
    /// The sensor to forget and the id of the request, if the range is one.
    pub(super) forgotten: Option<(SensorId, i64)>,
    /// Entries that were lost before an entry of the range.
    pub(super) losses: Vec<LogLoss>,
}

/// A record and its position.
#[derive(Debug)]
pub(super) struct RecordSlot {
    pub(super) position: RecordPosition,
    /// The arrival time, in µs since the Unix epoch.
    pub(super) received: i64,
    pub(super) redelivered: bool,
    pub(super) content: Content,
}

/// The content of a record.
#[derive(Debug)]
pub(super) enum Content {
    /// A reading: the index of its sensor batch, and its index in the batch.
    Reading { sensor: usize, index: usize },
    /// A dead letter.
    DeadLetter(DeadLetter),
    /// A control entry. It changes how later readings are scored.
    Control(Control),
}

/// The readings of one sensor, in the order of the log.
#[derive(Clone, Debug)]
pub(super) struct SensorBatch {
    pub(super) partition: PartitionId,
    pub(super) epoch: i64,
    pub(super) sensor: SensorName,
    pub(super) readings: Arc<Vec<Reading>>,
    /// The position of each reading.
    pub(super) positions: Vec<RecordPosition>,
    /// The quarantined readings.
    pub(super) quarantined: Quarantined,
}

/// Quarantined readings by their index in a sensor batch, each with its reason and an explanation.
pub(super) type Quarantined = BTreeMap<usize, (QuarantineReason, String)>;

/// Unpacks an entry.
fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
    #[cfg(feature = "faults")]
    if thicket_store::faults::reads_later_format() {
        return Entry::decode_later(bytes);
    }
    Entry::decode(bytes)
}

/// Shortens a list of entries so that a control entry is alone in its list. The entries before it
/// are processed first. The entries after the cut are read again.
pub(super) fn cut_at_control(entries: &mut Vec<LogEntry>) {
    if let Some(first) = entries.iter().position(|entry| Entry::is_control(&entry.bytes)) {
        entries.truncate(first.max(1));
    }
}

impl ReadBatch {
    /// Returns the number of records of every kind.
    pub(super) fn records(&self) -> u64 {
        self.ranges.iter().map(|range| range.slots.len() as u64).sum()
    }
}

impl LogRange {
    /// Returns the position of the first entry of the range.
    pub(super) fn first(&self) -> Position {
        self.slots.first().map_or(self.to, |slot| slot.position.position)
    }

    /// Returns the control entry, if the range is one.
    pub(super) fn control(&self) -> Option<&Control> {
        self.slots.iter().find_map(|slot| match &slot.content {
            Content::Control(control) => Some(control),
            _ => None,
        })
    }
}

/// Collects the entries of one read.
#[derive(Debug, Default)]
pub(super) struct Collector {
    ranges: Vec<LogRange>,
    sensors: Vec<Gathered>,
    refused: Vec<UnknownEntry>,
    index_of: BTreeMap<SensorName, usize>,
}

/// A sensor batch that is not complete yet.
#[derive(Debug)]
struct Gathered {
    partition: PartitionId,
    epoch: i64,
    sensor: SensorName,
    readings: Vec<Reading>,
    positions: Vec<RecordPosition>,
    quarantined: Quarantined,
}

impl Collector {
    /// Adds the entries of a partition that follow its read position, up to the first that needs a
    /// newer build.
    pub(super) fn add(
        &mut self,
        partition: PartitionId,
        Progress { epoch, read, .. }: Progress,
        quarantine: &QuarantineList,
        entries: Vec<LogEntry>,
    ) {
        let mut range = LogRange {
            partition,
            epoch,
            from: read,
            to: read,
            slots: Vec::new(),
            applied: None,
            reset: None,
            forgotten: None,
            losses: Vec::new(),
        };
        for LogEntry { position, bytes } in entries {
            match decode(&bytes) {
                Ok(entry) => self.add_entry(&mut range, position, entry, quarantine),
                Err(cause) if cause.needs_newer_build() => {
                    // The entries before it are committed first.
                    if range.to != read {
                        break;
                    }
                    self.refused.push(UnknownEntry { partition, epoch, position, cause });
                    return;
                }
                Err(error) => {
                    let dead_letter = DeadLetter::new("", Reason::BadEntry, &error.to_string(), &bytes);
                    range.slots.push(RecordSlot {
                        position: RecordPosition { position, item: 0 },
                        // The arrival time cannot be decoded. The wall clock would give another row
                        // at each replay.
                        received: 0,
                        redelivered: false,
                        content: Content::DeadLetter(dead_letter),
                    });
                }
            }
            range.to = position;
        }
        self.ranges.push(range);
    }

    fn add_entry(
        &mut self,
        range: &mut LogRange,
        position: Position,
        entry: Entry,
        quarantine: &QuarantineList,
    ) {
        if is_gap(range.to, entry.predecessor) {
            range.losses.push(LogLoss { after: range.to, before: position });
        }
        for (item, record) in entry.records.into_iter().enumerate() {
            let position = RecordPosition { position, item: item as u32 };
            let content = match record.item {
                Item::Reading(reading) => {
                    let (sensor, index) = self.gather(range, reading, position);
                    if let Some(reason) = quarantine.get(&position) {
                        self.sensors[sensor].quarantined.insert(index, reason.clone());
                    }
                    Content::Reading { sensor, index }
                }
                Item::DeadLetter(dead_letter) => Content::DeadLetter(dead_letter),
                Item::Control(control) => Content::Control(control),
            };
            let (received, redelivered) = (record.received, record.redelivered);
            range.slots.push(RecordSlot { position, received, redelivered, content });
        }
    }

    /// Adds a reading to the batch of its sensor. Returns the index of the batch, and the index of
    /// the reading in it.
    fn gather(&mut self, range: &LogRange, reading: Reading, position: RecordPosition) -> (usize, usize) {
        let sensor = *self.index_of.entry(reading.sensor.clone()).or_insert_with(|| {
            self.sensors.push(Gathered {
                partition: range.partition,
                epoch: range.epoch,
                sensor: reading.sensor.clone(),
                readings: Vec::new(),
                positions: Vec::new(),
                quarantined: Quarantined::new(),
            });
            self.sensors.len() - 1
        });
        let gathered = &mut self.sensors[sensor];
        gathered.readings.push(reading);
        gathered.positions.push(position);
        (sensor, gathered.readings.len() - 1)
    }

    /// Returns the collected ranges and sensor batches.
    pub(super) fn finish(self) -> ReadBatch {
        let sensor_batch = |gathered: Gathered| {
            let Gathered { partition, epoch, sensor, readings, positions, quarantined } = gathered;
            SensorBatch { partition, epoch, sensor, readings: Arc::new(readings), positions, quarantined }
        };
        let sensors = self.sensors.into_iter().map(sensor_batch).collect();
        ReadBatch { ranges: self.ranges, sensors, refused: self.refused }
    }
}

impl RecordSlot {
    /// Returns the dead letter with the position and arrival time of this record.
    pub(super) fn dead_letter(&self, dead_letter: DeadLetter) -> LoggedDeadLetter {
        let Self { position, received, redelivered, .. } = *self;
        LoggedDeadLetter { position, received, redelivered, dead_letter }
    }
}

#[cfg(test)]
mod tests;
