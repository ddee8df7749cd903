//! Every message between actors, in the order that data flows. Each says which actor sends it,
//! which actor receives it, and what happens to it on failure. Data flows in one direction;
//! acknowledgements and credits flow back. The child `history` has the questions of a restore, and what
//! the stores answer.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use thicket_detector::{Detection, FieldReport, Label};
use thicket_schema::{
    Checkpoint, Control, EntryError, PartitionId, Position, Reading, Reason, Record, SensorName, Timestamp,
};
use tokio::sync::oneshot;

use crate::acknowledge::Delivery;
use crate::credit::{Credit, Credited};
use crate::time_order::{Occupied, Place};
use thicket_detector::NamedConfig;
use thicket_store::postgres::{
    ClaimedPartition, ClockChange, ClockState, CommitBatch, DetectorReset, QuarantineEntry,
};

mod history;

pub use history::{History, HistoryPage, Load, LoadNear, LoadRows};

/// `MqttIngress` → `QueueWriter`: the records of one MQTT message, or a part of them. If the process
/// or the writer dies, the message is not acknowledged, and the broker delivers it again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Append {
    /// The records of the message in its order, each with the partition of its sensor.
    pub records: Vec<(PartitionId, Record)>,
    /// Whether the last records of the message are among them. `queue.reorder` can release other
    /// records of a message earlier.
    pub ends_message: bool,
    /// Acknowledged once every partition has its records in the log.
    pub delivery: Option<Delivery>,
    /// Bounds the messages between broker and log.
    pub credit: Credit,
}

impl Credited for Append {
    fn credit(&self) -> &Credit {
        &self.credit
    }
}

/// `MqttIngress` → `QueueWriter`: control entries for the logs of partitions. Returns whether the
/// logs hold them. They are lost only if the process dies; then they are published again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct AppendControls {
    /// Control entries to append, in order, each with its partition.
    pub controls: Vec<(PartitionId, Control)>,
}

/// `MqttIngress` → `QueueWriter`: this node holds the subscription from now on. The writer opens
/// every log, and earlier writers cannot append any more. It drops the messages that wait: the
/// broker delivers them again. Returns false if a later holder of the subscription has already
/// opened a log.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct FenceWriters {
    /// The epoch of this holder of the subscription.
    pub ingress_epoch: u64,
    /// The newest committed generation. A new generation is later, even if Redis has lost its data
    /// and the clock is behind.
    pub newest_generation: u64,
}

/// Engine → `MqttIngress`: the configuration of the detectors has changed. The ingress publishes it
/// if its node writes the log.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reload {
    /// The configuration of all sensors, as JSON.
    pub detectors: Arc<str>,
}

/// `PartitionKeeper` → `Shard`: this node owns the partition from now on. After a restart, a shard
/// asks for its partitions again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Assign(pub Arc<ClaimedPartition>);

/// `PartitionKeeper` → `Shard`: this node does not own the partition any more. Its batches in
/// flight cannot commit.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Revoke {
    /// The partition.
    pub partition: PartitionId,
}

/// Engine → `Shard`: the process ends without waiting for commits. The shard closes the partitions
/// that are searched for a poison reading, and withdraws the readings that it has recorded. A shard
/// that hangs on a reading does not answer, and the death counts.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Abandon;

/// `PartitionKeeper` → `Shard`: another node should own the partition. The shard stops reading it,
/// and returns once everything that it has read is committed and the detectors are saved. Returns
/// `None` if the shard does not own the partition under this epoch, or owns it no longer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<HandedOver>")]
pub struct HandOver {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch under which this node owns it.
    pub epoch: i64,
}

/// The answer of a shard to a [`HandOver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Whether no entry is suspected of having crashed an earlier owner. Otherwise the next owner
    /// continues the search for a poison reading.
    pub is_clean: bool,
}

/// `Shard` → `PartitionKeeper`: claim the partition again and assign it again, under a new epoch
/// and from the committed position. Sent if the outcome of a commit is unknown, or if a detector
/// cannot be restored.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Reopen {
    /// The partition.
    pub partition: PartitionId,
}

/// `Shard` → `PartitionKeeper`: leave the partition to a newer build, which has written the next
/// entry of its log. Everything before the entry is committed. The keeper releases the lease, and
/// tries the partition again later.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Refuse {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch under which the entry was read.
    pub epoch: i64,
    /// The entry.
    pub entry: Position,
    /// Why this build cannot apply the entry.
    pub cause: EntryError,
    /// Whether no entry is suspected of having crashed an earlier owner. Otherwise the next owner
    /// continues the search for a poison reading.
    pub is_clean: bool,
}

/// `Shard` → `PartitionKeeper`: quarantine a reading. Returns true once the entry is durable, false
/// if another node owns the partition. Retries until the database answers.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Quarantine(pub QuarantineEntry);

/// `Shard` → `Detector`: readings to score, in the order of the log. A panic of the detector
/// consumes the message; the shard keeps the readings and restores the detector.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Scores, NotRestored>")]
pub struct Score {
    /// The readings of the sensor in one batch, shared with the shard that makes rows of them.
    pub readings: Arc<Vec<Reading>>,
    /// Index of the first reading to score.
    pub from: usize,
    /// Index after the last reading to score.
    pub to: usize,
    /// The stored rows near the readings that are not newer than all stored ones; `None` if they
    /// were not needed yet.
    pub near: Option<Occupied>,
    /// Whether the readings are quarantined as poison. Then they get their places, and only the
    /// newest timestamp of the detector may advance.
    pub skip: bool,
}

/// `Shard` → `Detector`: asks whether the stored rows near a reading must be known to score it. It
/// changes nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, NotRestored>")]
pub struct NeedsNear {
    /// The readings of the sensor in one batch.
    pub readings: Arc<Vec<Reading>>,
    /// Index of the reading.
    pub index: usize,
}

/// The error of a detector without state: it has just started, or restarted after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the detector has not been restored")]
pub struct NotRestored;

/// The answer of a detector to a [`Score`].
#[derive(Debug, Default)]
pub struct Scores {
    /// The outcome of each reading, in the order of the readings. If the detector must know the
    /// stored rows near a reading, the outcomes end before that reading.
    pub outcomes: Vec<ScoreOutcome>,
    /// Where each reading is stored, in the order of the outcomes.
    pub places: Vec<Place>,
    /// The times near which the stored rows must be known; empty if there is an outcome for each
    /// reading.
    pub unknown: Vec<Timestamp>,
    /// What has changed in the time of the sensor.
    pub clock: ClockReport,
    /// The state of the detector after the last reading; `None` if no checkpoint is due.
    pub checkpoint: Option<Checkpoint>,
    /// The report about the sensor's fields, if one of the readings has changed it.
    pub fields: Option<FieldReport>,
    /// Memory of the detector in bytes; `None` if it has hardly changed since the last answer.
    pub memory: Option<u64>,
    /// Time that the detector spent.
    pub elapsed: Duration,
}

/// What has changed in the time of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockReport {
    /// The state after the last reading; `None` if it is the usual one and has not changed.
    pub state: Option<ClockState>,
    /// Index of the reading with which the present row of late readings begins, if it is in the
    /// batch.
    pub late_from: Option<usize>,
    /// The moments at which the sensor's time began again.
    pub changes: Vec<ClockChange>,
}

impl ClockReport {
    /// Adds what has changed later.
    pub fn append(&mut self, mut later: Self) {
        self.state = later.state.or(self.state);
        self.late_from = later.late_from.or(self.late_from);
        self.changes.append(&mut later.changes);
    }
}

/// The outcome of one reading in its detector.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreOutcome {
    /// The detector applied it: scored, or unscored if it has none of the scored fields.
    Scored(Box<Detection>),
    /// It is not newer than its sensor's newest reading. The detector is unchanged.
    NotNewer,
    /// The same reading is stored already. The detector is unchanged.
    Duplicate,
    /// Another reading is stored at its time. The detector is unchanged.
    Conflict,
    /// The detector cannot apply it. The detector is unchanged.
    Rejected {
        /// The reason of the dead letter.
        reason: Reason,
        /// The error text of the detector.
        detail: String,
    },
    /// It is quarantined: its detector panicked on it twice, or the process died on it repeatedly.
    Poison,
}

impl ScoreOutcome {
    /// Returns whether the reading becomes a row.
    pub const fn is_stored(&self) -> bool {
        !matches!(self, Self::Duplicate | Self::Conflict | Self::Rejected { .. })
    }
}

/// `Shard` → `Detector`: the history to restore the detector from. If its rows are not all rows,
/// the detector has no state until a [`Replay`] brings the last ones. After a panic the detector
/// restarts without state.
#[derive(Debug, Message)]
#[rtype(result = "Restored")]
pub struct Restore {
    /// The configuration of the sensor.
    pub config: Arc<NamedConfig>,
    /// The checkpoint and the rows of the sensor.
    pub history: History,
}

/// `Shard` → `Detector`: the next rows of the restore that a [`Restore`] has begun. Each message has
/// one page, so the arbiter does other work between two pages, and its watchdog sees it alive. A
/// detector that has panicked meanwhile answers [`NotRestored`].
#[derive(Debug, Message)]
#[rtype(result = "Result<Restored, NotRestored>")]
pub struct Replay {
    /// The rows.
    pub page: HistoryPage,
}

/// The result of a restore, as far as its rows are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The seq of the restored detector.
    pub seq: u64,
    /// Number of stored rows that were replayed.
    pub replayed: u64,
    /// Number of rows whose replayed score differs from the stored score. Must be 0.
    pub mismatches: u64,
    /// Whether the checkpoint could not be used.
    pub unusable: bool,
}

/// `Shard` → `Detector`: settings of the same shape that apply from the next reading on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reconfigure {
    /// The settings.
    pub config: Arc<NamedConfig>,
}

/// `Shard` → `Detector`: applies an operator's label to an anomaly. Returns where the label was
/// applied, or `None` if the label changes nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<LabelPlace>")]
pub struct ApplyLabel {
    /// The time of the anomaly's first reading.
    pub started: Timestamp,
    /// The label.
    pub label: Label,
}

/// Where a label was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelPlace {
    /// Number of the sensor's scored readings before.
    pub seq: u64,
    /// Number of the label among those that the detector has applied, from 1.
    pub number: u64,
}

/// `Shard` → `Detector`: the detector begins again, on request. Returns `None` if the request was
/// done before, or if the detector has no readings.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<DetectorReset>")]
pub struct BeginAgain {
    /// The id of the request.
    pub request: i64,
}

/// `Shard` → `Checkpointer`: deletes the checkpoint of a sensor that is to be forgotten, if the
/// request is still to be done. Returns whether it is. Retries until the stores answer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct DeleteCheckpoint {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// The id of the request.
    pub request: i64,
}

/// `Shard` → `Detector`: asks for a checkpoint, before an eviction or a shutdown. Returns `None` if
/// the detector has no state.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Checkpoint>")]
pub struct TakeCheckpoint;

/// `Shard` → `PostgresWriter`: the outcomes of a range of one partition's log. The writer retries
/// until the database answers. Only a panic of the writer drops the reply; then the shard reopens
/// the partition.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Commit {
    /// The rows, and the other changes that commit with them.
    pub batch: CommitBatch,
    /// Receives the outcome.
    pub reply: oneshot::Sender<CommitOutcome>,
    /// Bounds the readings between log and database.
    pub credit: Credit,
}

impl Credited for Commit {
    fn credit(&self) -> &Credit {
        &self.credit
    }
}

/// The outcome of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The batch is durable.
    Committed,
    /// A reading of the batch cannot be stored. It is quarantined now, and the shard must reopen
    /// the partition.
    Withdrawn,
    /// The partition has another epoch or position than the batch expects: another node owns it
    /// now, or the reply to an earlier commit was lost.
    Fenced,
}

/// `Shard` → `Checkpointer`: a checkpoint whose rows are durable. The newest checkpoint of a sensor
/// wins. A failure makes the next replay longer; it loses no row.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Save {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// The checkpoint of its detector.
    pub checkpoint: Checkpoint,
    /// Whether it must never be evicted.
    pub pinned: bool,
    /// Bounds the bytes of the checkpoints that wait for Redis.
    pub credit: Credit,
}

impl Credited for Save {
    fn credit(&self) -> &Credit {
        &self.credit
    }
}

/// Engine → any actor, at shutdown: take no new work and finish the work in flight. Returns when
/// all work is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
