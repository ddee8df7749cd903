//! Every message between actors, in the order that data flows: who sends it, who receives it, and what becomes of it on
//! failure. Data flows one way; what flows back is acknowledgement and credit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use thicket_detector::{Detection, Label};
use thicket_schema::{Checkpoint, Control, PartitionId, Reading, Reason, Record, SensorName, Timestamp};
use tokio::sync::oneshot;

use crate::acknowledge::Delivery;
use crate::credit::{Credit, Credited};
use thicket_detector::NamedConfig;
use thicket_store::postgres::{AppliedLabel, ClaimedPartition, CommitBatch, QuarantineEntry, StoredReading};

/// `MqttIngress` → `QueueWriter`: the records of one MQTT message. If the process or the writer dies, the message is
/// not acknowledged, and the broker delivers it again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Append {
    /// The records of the message in its order, each with the partition of its sensor.
    pub records: Vec<(PartitionId, Record)>,
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

/// `MqttIngress` → `QueueWriter`: control entries for the logs of partitions. Returns whether the logs hold them.
/// Lost only with the process; then they are published again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct AppendControls {
    /// Control entries to append, in order, each with its partition.
    pub controls: Vec<(PartitionId, Control)>,
}

/// `MqttIngress` → `QueueWriter`: this node holds the subscription from now on. The writer opens every log, so that
/// earlier writers can append nothing more. Messages that wait are dropped: the broker delivers them again. Returns
/// false if a later holder of the subscription has opened a log already.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct FenceWriters {
    /// The epoch of this holder of the subscription.
    pub ingress_epoch: u64,
}

/// Engine → `MqttIngress`: the configuration of detectors has changed. The ingress publishes it if its node writes the
/// log.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reload {
    /// All rules, as JSON.
    pub detectors: Arc<str>,
}

/// `PartitionKeeper` → `Shard`: this node owns the partition from now on. A shard that is restarted asks for its
/// partitions again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Assign(pub Arc<ClaimedPartition>);

/// `PartitionKeeper` → `Shard`: the partition is not this node's any more. What is in flight cannot commit.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Revoke {
    /// Which partition.
    pub partition: PartitionId,
}

/// `Shard` → `PartitionKeeper`: forget what this node believes of the partition and assign it anew, with a fresh epoch,
/// from the committed position. Sent when a commit's fate is unknown or a detector cannot be brought back.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Reopen {
    /// Which partition.
    pub partition: PartitionId,
}

/// `Shard` → `PartitionKeeper`: a reading is to be skipped. Answered once that is durable; false if the partition is another node's. Waits for
/// the database for as long as it takes.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Quarantine(pub QuarantineEntry);

/// `Shard` → `Detector`: readings to score, in the order of the log. Consumed if the detector panics; the shard keeps the
/// readings and restores the detector.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Scores, NotRestored>")]
pub struct Score {
    /// The readings, shared with the shard that turns them into rows.
    pub readings: Arc<Vec<Reading>>,
    /// Which of them; the others were dealt with before.
    pub from: usize,
    /// One past the last of them.
    pub to: usize,
}

/// The detector has no state yet: it has just started, or restarted after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the detector has not been restored")]
pub struct NotRestored;

/// What a detector says to a `Score`.
#[derive(Debug)]
pub struct Scores {
    /// One for each reading, in order.
    pub outcomes: Vec<ScoreOutcome>,
    /// The detector's state after the last reading, where a checkpoint is due.
    pub checkpoint: Option<Checkpoint>,
    /// Time spent.
    pub elapsed: Duration,
}

/// The outcome of one reading in its detector.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreOutcome {
    /// It was scored.
    Scored(Box<Detection>),
    /// It is not newer than its sensor's newest reading and touched nothing.
    NotNewer,
    /// The detector cannot score it, and it touched nothing.
    Rejected {
        /// The dead letter's reason.
        reason: Reason,
        /// The detector's own words.
        detail: String,
    },
    /// It is quarantined: it panicked its detector twice, or killed the process repeatedly.
    Poison,
}

/// `Shard` → `Detector`: the past that a detector starts from. Pure replay; a panic in it restarts the detector empty.
#[derive(Debug, Message)]
#[rtype(result = "Restored")]
pub struct Restore {
    /// How the sensor is configured.
    pub config: Arc<NamedConfig>,
    /// What the stores know of the sensor.
    pub history: History,
}

/// What a restore found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The detector's seq now.
    pub seq: u64,
    /// Stored rows that were applied again.
    pub replayed: u64,
    /// Rows whose recomputed score differs from the stored one. Anything but 0 is an alarm.
    pub mismatches: u64,
    /// Whether the detector in the checkpoint could not be brought to life.
    pub unusable: bool,
}

/// `Shard` → `Detector`: other settings of the same shape, from the next reading on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reconfigure {
    /// The settings.
    pub config: Arc<NamedConfig>,
}

/// `Shard` → `Detector`: what a person says of an anomaly. Answered with the seq after which it was heard, if it changes anything.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<u64>")]
pub struct ApplyLabel {
    /// When the anomaly began.
    pub started: Timestamp,
    /// What it is.
    pub label: Label,
}

/// `Shard` → `Detector`: a reading that must not be applied. Only the newest timestamp moves; answered with whether it does.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<bool, NotRestored>")]
pub struct Skip {
    /// The reading's timestamp.
    pub ts: Timestamp,
}

/// `Shard` → `Detector`: the state now, for retirement and shutdown. Nothing if the detector holds none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Checkpoint>")]
pub struct TakeCheckpoint;

/// `Shard` → `PostgresWriter`: the outcomes of a range of one partition's log. Retried until the database answers; the
/// reply is dropped only with the writer, and the shard then reopens the partition.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Commit {
    /// The rows and everything else that commits with them.
    pub batch: CommitBatch,
    /// Told what became of it.
    pub reply: oneshot::Sender<CommitOutcome>,
    /// Bounds the readings between log and database.
    pub credit: Credit,
}

impl Credited for Commit {
    fn credit(&self) -> &Credit {
        &self.credit
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is durable.
    Committed,
    /// A reading of it cannot be stored. There is a verdict on it now; the partition is to be reopened.
    Withdrawn,
    /// The partition's epoch or position is not what the batch builds on: it is another node's now, or a reply was lost.
    Fenced,
}

/// `Shard` → `Checkpointer`: a detector's state whose rows are durable. The newest of a sensor wins; a failure costs a
/// longer replay, never a row.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Save {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// Which sensor.
    pub sensor: SensorName,
    /// The state.
    pub checkpoint: Checkpoint,
    /// Bounds the bytes that wait for Redis.
    pub credit: Credit,
}

impl Credited for Save {
    fn credit(&self) -> &Credit {
        &self.credit
    }
}

/// `Shard` → `Checkpointer`: asks for what the stores have about a sensor. Waits for the stores without end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "History")]
pub struct Load {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// Its configuration.
    pub config: Arc<NamedConfig>,
    /// Whether its checkpoint may be used. If not, the checkpoint is deleted, and the detector is rebuilt from rows.
    pub use_checkpoint: bool,
}

/// What the stores have about a sensor: its checkpoint and the rows after it. If the shape of its detector has changed
/// since, the rows to rebuild the detector from.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The newest checkpoint, if it is readable and of the detector's present shape.
    pub checkpoint: Option<Checkpoint>,
    /// The last rows before the detector got its present shape, oldest first. The detector learns from them; their
    /// scores are not compared.
    pub rebuild_from: Vec<StoredReading>,
    /// Scored and poison rows newer than all of that, oldest first. They are applied again, and the scores must be the
    /// stored ones.
    pub replay: Vec<StoredReading>,
    /// The configurations that rows name.
    pub configs: BTreeMap<u64, Arc<NamedConfig>>,
    /// Labels that the detector has applied, in the order of its readings.
    pub labels: Vec<AppliedLabel>,
    /// The time of the last row of another shape, if the shape has changed: events that still lasted then
    /// end with the next commit.
    pub reshaped: Option<Timestamp>,
}

/// Engine → any actor at the end: finish what is in flight and take no more. Answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
