//! The batch that a shard commits: the outcomes of a range of one partition's log.

use std::collections::BTreeMap;

use thicket_detector::FieldReport;
use thicket_protocol::commit::PositionAdvance;
use thicket_schema::postgres::{AnomalyRow, ReadingRow};
use thicket_schema::{
    DeadLetter, FieldSet, Flag, PartitionId, Position, Reading, RecordPosition, SensorId, SensorName,
    Timestamp,
};

use super::clocks::{ClockChange, ClockUpdate};
use super::labels::AppliedLabel;
use super::log_losses::LogLoss;
use super::sensor_requests::DetectorReset;

/// The outcomes of the log entries of one partition after `from`, up to and including `to`.
#[derive(Clone, Debug)]
pub struct CommitBatch {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch of the partition's owner.
    pub epoch: i64,
    /// The committed position that the batch expects.
    pub from: Position,
    /// The committed position after the batch.
    pub to: Position,
    /// Number of records in the range, without control entries. Each record has an outcome in
    /// `rows`, `late` or `dead_letters`, or is one of `duplicates`.
    pub delivered: u64,
    /// Number of readings that are stored already.
    pub duplicates: u64,
    /// Number of poison readings in `rows`.
    pub poison: u64,
    /// Number of unscored readings in `rows`.
    pub unscored: u64,
    /// Scored, unscored and poison readings, in the order of the log.
    pub rows: Vec<LoggedRow>,
    /// Readings that were not newer than their sensor's newest, in the order of the log.
    pub late: Vec<LateReading>,
    /// Events that began, grew or ended, each in its last state, in the order in which the log
    /// first mentions them.
    pub anomalies: Vec<AnomalyRow>,
    /// Dead letters, in the order of the log.
    pub dead_letters: Vec<LoggedDeadLetter>,
    /// The sensors of the readings, one element per sensor and field set.
    pub sensors: Vec<SeenSensor>,
    /// The sensors whose fields have changed, each with its new report.
    pub fields: BTreeMap<SensorId, FieldReport>,
    /// The arrival time of each record, in µs since the Unix epoch.
    pub received: Vec<i64>,
    /// The configurations that the rows refer to, as JSON by identity.
    pub configs: BTreeMap<u64, String>,
    /// Labels that detectors have applied.
    pub applied_labels: Vec<AppliedLabel>,
    /// The detector that began again at `to`, if the batch is such a request.
    pub reset: Option<(SensorId, DetectorReset)>,
    /// The sensor that is forgotten at `to`, and the id of the request, if the batch is one.
    pub forgotten: Option<(SensorId, i64)>,
    /// Sensors whose detectors got another shape, each with the time of the last row of the old
    /// shape. The commit ends the events that were open then.
    pub reshaped: BTreeMap<SensorId, Timestamp>,
    /// Ranges of the log that were lost within the batch.
    pub losses: Vec<LogLoss>,
    /// Sensors whose clock state the batch changes.
    pub clocks: BTreeMap<SensorId, ClockUpdate>,
    /// Moments at which the time of a sensor began again.
    pub clock_changes: Vec<ClockChange>,
    /// The configuration of the partition's sensors after `to`; `None` if the batch does not change
    /// it.
    pub detectors: Option<String>,
}

impl CommitBatch {
    /// Creates a batch without outcomes.
    pub fn new(partition: PartitionId, epoch: i64, from: Position) -> Self {
        Self {
            partition,
            epoch,
            from,
            to: from,
            delivered: 0,
            duplicates: 0,
            poison: 0,
            unscored: 0,
            rows: Vec::new(),
            late: Vec::new(),
            anomalies: Vec::new(),
            dead_letters: Vec::new(),
            sensors: Vec::new(),
            fields: BTreeMap::new(),
            received: Vec::new(),
            configs: BTreeMap::new(),
            applied_labels: Vec::new(),
            reset: None,
            forgotten: None,
            reshaped: BTreeMap::new(),
            losses: Vec::new(),
            clocks: BTreeMap::new(),
            clock_changes: Vec::new(),
            detectors: None,
        }
    }

    /// Returns the change of the partition's position.
    pub(super) const fn advance(&self) -> PositionAdvance {
        PositionAdvance { epoch: self.epoch, from: self.from, to: self.to }
    }

    /// Returns all rows that the batch may insert: `rows`, then `late`.
    pub(super) fn all_rows(&self) -> Vec<LoggedRow> {
        let late = self.late.iter().map(LateReading::row);
        self.rows.iter().cloned().chain(late).collect()
    }
}

/// A row of `readings`, and the position of its record in the log.
#[derive(Clone, Debug)]
pub struct LoggedRow {
    /// The position of the record. It is not stored.
    pub position: RecordPosition,
    /// The row.
    pub row: ReadingRow,
}

/// A reading that is not newer than its sensor's newest. It is stored only if its sensor has no
/// reading at its time.
#[derive(Clone, Debug)]
pub struct LateReading {
    /// The reading, at the time at which it is stored.
    pub reading: Reading,
    /// Whether that is not its written time.
    pub shifted: bool,
    /// Position of its record in the log.
    pub position: RecordPosition,
    /// When it arrived, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker delivered it again.
    pub redelivered: bool,
}

impl LateReading {
    /// Returns the row that stores the reading.
    pub(super) fn row(&self) -> LoggedRow {
        let shifted = if self.shifted { Flag::Shifted.bit() } else { 0 };
        let row = ReadingRow::unscored(&self.reading, Flag::Late.bit() | shifted);
        LoggedRow { position: self.position, row }
    }
}

/// A dead letter, and the position of its record in the log.
#[derive(Clone, Debug)]
pub struct LoggedDeadLetter {
    /// Position of its record in the log.
    pub position: RecordPosition,
    /// When it arrived, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker delivered it again.
    pub redelivered: bool,
    /// The dead letter.
    pub dead_letter: DeadLetter,
}

/// A sensor that occurs in a batch.
#[derive(Clone, Debug)]
pub struct SeenSensor {
    /// Its name.
    pub sensor: SensorName,
    /// A field set of its readings.
    pub fields: FieldSet,
    /// The timestamp of its first reading with this field set in the batch.
    pub first_seen: Timestamp,
}
