//! What commits together: the outcomes of a stretch of one partition's log, in the shape that the statements want.

use std::collections::BTreeMap;

use diesel::pg::data_types::PgTimestamp;
use thicket_detector::{Label, Marks};
use thicket_schema::{
    DeadLetter, FieldSet, PartitionId, Place, Position, Reading, SensorName, Timestamp, flags,
};

use super::timestamptz;
use crate::protocol::commit::Step;

/// The outcomes of the log of one partition after `from`, up to and including `to`.
#[derive(Clone, Debug)]
pub struct CommitBatch {
    /// Which partition.
    pub partition: PartitionId,
    /// The epoch under which its owner works.
    pub epoch: i64,
    /// The position that the batch builds on.
    pub from: Position,
    /// The position that it leads to.
    pub to: Position,
    /// Records in that stretch, of every kind. Each has an outcome below.
    pub delivered: u64,
    /// How many of the rows are poison.
    pub poison: u64,
    /// Scored and poison readings.
    pub rows: ReadingColumns,
    /// Readings that were not newer than their sensor's newest, in the order of the log.
    pub offered: Vec<OfferedReading>,
    /// Events that began, grew or ended; the last state of each.
    pub events: Vec<EventRow>,
    /// Dead letters, in the order of the log.
    pub letters: Vec<LetterRow>,
    /// The sensors that occur, each with the fields that it brought.
    pub sensors: Vec<SeenSensor>,
    /// When each record arrived, in µs since the Unix epoch.
    pub received: Vec<i64>,
    /// The configurations that its rows name, as JSON.
    pub configs: BTreeMap<u64, String>,
    /// Labels that detectors have heard.
    pub heard: Vec<HeardLabel>,
    /// What was lost of the log in that stretch.
    pub losses: Vec<Loss>,
    /// How the partition's sensors are configured from `to` on, if the log says so in this stretch.
    pub detectors: Option<String>,
}

impl CommitBatch {
    /// A batch without outcomes.
    pub fn new(partition: PartitionId, epoch: i64, from: Position) -> Self {
        Self {
            partition,
            epoch,
            from,
            to: from,
            delivered: 0,
            poison: 0,
            rows: ReadingColumns::default(),
            offered: Vec::new(),
            events: Vec::new(),
            letters: Vec::new(),
            sensors: Vec::new(),
            received: Vec::new(),
            configs: BTreeMap::new(),
            heard: Vec::new(),
            losses: Vec::new(),
            detectors: None,
        }
    }

    /// The stretch that it commits.
    pub(super) const fn step(&self) -> Step {
        Step { epoch: self.epoch, from: self.from, to: self.to }
    }
}

/// A row of `log_losses`: entries that Redis acknowledged and then did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The last entry before the gap.
    pub after: Position,
    /// The first entry after it.
    pub before: Position,
}

/// A row of `heard_labels`.
#[derive(Clone, Copy, Debug)]
pub struct HeardLabel {
    /// The sensor's id.
    pub sensor: i64,
    /// The sensor's readings before it was heard.
    pub seq: u64,
    /// When the anomaly began.
    pub started: Timestamp,
    /// What it is.
    pub label: Label,
}

/// Rows of `readings` as one array per column. The values of all rows lie in one flat array, since UNNEST would flatten
/// nested arrays; each row knows its slice.
#[derive(Clone, Debug, Default)]
pub struct ReadingColumns {
    pub(super) sensor: Vec<i64>,
    pub(super) ts: Vec<PgTimestamp>,
    pub(super) seq: Vec<Option<i64>>,
    pub(super) field_set: Vec<i64>,
    /// First and last index of the row's values, counted from 1.
    pub(super) first: Vec<i32>,
    pub(super) last: Vec<i32>,
    pub(super) values: Vec<f64>,
    pub(super) score: Vec<Option<f64>>,
    pub(super) grade: Vec<Option<f64>>,
    pub(super) flags: Vec<i32>,
    pub(super) config: Vec<Option<i64>>,
    pub(super) confidence: Vec<Option<f32>>,
    pub(super) onset: Vec<Option<f32>>,
    /// Where in the log each of them stands. Not stored.
    pub(super) places: Vec<Place>,
}

/// What a detector said of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredReading {
    /// Its number among the sensor's scored readings.
    pub seq: u64,
    /// Mean collusive displacement (`CoDisp`).
    pub score: f64,
    /// Nothing while the detector warms up.
    pub grade: Option<f64>,
    /// How far the grade can be trusted, 0 to 1.
    pub confidence: f64,
    /// How unusual it is, if more so than everything shortly before; 0 to 1.
    pub onset: f64,
    /// Whether it is flagged.
    pub anomaly: bool,
    /// What else is to be known of it.
    pub marks: Marks,
    /// Identity of the detector's configuration.
    pub config: u64,
}

impl ReadingColumns {
    /// Appends a scored reading.
    pub fn push_scored(&mut self, reading: &Reading, place: Place, scored: ScoredReading) {
        self.push(reading, place, flags_of(&scored));
        self.seq.push(Some(scored.seq.cast_signed()));
        self.score.push(Some(scored.score));
        self.grade.push(scored.grade);
        self.config.push(Some(scored.config.cast_signed()));
        self.confidence.push(Some(scored.confidence as f32));
        self.onset.push(Some(scored.onset as f32));
    }

    /// Appends a reading that is stored without a score: `flags` says why.
    pub fn push_unscored(&mut self, reading: &Reading, place: Place, flags: i32) {
        self.push(reading, place, flags);
        self.seq.push(None);
        self.score.push(None);
        self.grade.push(None);
        self.config.push(None);
        self.confidence.push(None);
        self.onset.push(None);
    }

    /// Rows.
    pub const fn len(&self) -> usize {
        self.sensor.len()
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.sensor.is_empty()
    }

    pub(super) fn append(&mut self, mut other: Self) {
        let shift = self.values.len() as i32;
        self.first.extend(other.first.iter().map(|first| first + shift));
        self.last.extend(other.last.iter().map(|last| last + shift));
        self.sensor.append(&mut other.sensor);
        self.ts.append(&mut other.ts);
        self.seq.append(&mut other.seq);
        self.field_set.append(&mut other.field_set);
        self.values.append(&mut other.values);
        self.score.append(&mut other.score);
        self.grade.append(&mut other.grade);
        self.flags.append(&mut other.flags);
        self.config.append(&mut other.config);
        self.confidence.append(&mut other.confidence);
        self.onset.append(&mut other.onset);
        self.places.append(&mut other.places);
    }

    /// Some of the rows.
    pub(super) fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let first = rows.clone().next().map_or(0, |row| self.first[row] as usize - 1);
        let last = rows.clone().next_back().map_or(first, |row| self.last[row] as usize);
        let shift = first as i32;
        Self {
            sensor: self.sensor[rows.clone()].to_vec(),
            ts: self.ts[rows.clone()].to_vec(),
            seq: self.seq[rows.clone()].to_vec(),
            field_set: self.field_set[rows.clone()].to_vec(),
            first: self.first[rows.clone()].iter().map(|index| index - shift).collect(),
            last: self.last[rows.clone()].iter().map(|index| index - shift).collect(),
            values: self.values[first..last].to_vec(),
            score: self.score[rows.clone()].to_vec(),
            grade: self.grade[rows.clone()].to_vec(),
            flags: self.flags[rows.clone()].to_vec(),
            config: self.config[rows.clone()].to_vec(),
            confidence: self.confidence[rows.clone()].to_vec(),
            onset: self.onset[rows.clone()].to_vec(),
            places: self.places[rows].to_vec(),
        }
    }

    fn push(&mut self, reading: &Reading, place: Place, flags: i32) {
        self.places.push(place);
        let stamped = if reading.stamped { flags::STAMPED } else { 0 };
        self.sensor.push(reading.sensor.id().0);
        self.ts.push(timestamptz(reading.ts));
        self.field_set.push(reading.fields.id());
        self.first.push(self.values.len() as i32 + 1);
        self.values.extend_from_slice(&reading.values);
        self.last.push(self.values.len() as i32);
        self.flags.push(flags | stamped);
    }
}

/// The bits that say what the detector thinks of a reading.
fn flags_of(scored: &ScoredReading) -> i32 {
    let Marks { suppressed, imputed, stuck, after_silence, learning_slowed } = scored.marks;
    let marks = [
        (scored.grade.is_none(), flags::WARMING_UP),
        (scored.anomaly, flags::ANOMALY),
        (suppressed, flags::SUPPRESSED),
        (imputed, flags::IMPUTED),
        (stuck, flags::STUCK),
        (after_silence, flags::AFTER_SILENCE),
        (learning_slowed, flags::LEARNING_SLOWED),
    ];
    marks.iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, bit)| bits | bit)
}

/// A reading that is stored only if its sensor has none at its time.
#[derive(Clone, Debug)]
pub struct OfferedReading {
    /// The reading.
    pub reading: Reading,
    /// Where in the log it stands.
    pub place: Place,
    /// When it arrived, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker delivered it again.
    pub redelivered: bool,
}

/// A row of `anomalies`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The sensor's id.
    pub sensor: i64,
    /// The event's state after its latest reading.
    pub event: thicket_detector::Event,
}

/// A row of `dead_letters`.
#[derive(Clone, Debug)]
pub struct LetterRow {
    /// Where in the log it stands.
    pub position: Position,
    /// Which record of the entry.
    pub item: u32,
    /// When it arrived, in µs since the Unix epoch.
    pub received: i64,
    /// Whether the broker delivered it again.
    pub redelivered: bool,
    /// What it says.
    pub letter: DeadLetter,
}

/// A sensor that occurs in a batch.
#[derive(Clone, Debug)]
pub struct SeenSensor {
    /// Its name.
    pub sensor: SensorName,
    /// The fields of its first reading in the batch.
    pub fields: FieldSet,
    /// The time of that reading.
    pub first_seen: Timestamp,
}
