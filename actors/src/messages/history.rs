//! What a shard asks the stores for to restore a detector, and what they hold about its sensor.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Message;
use thicket_detector::NamedConfig;
use thicket_schema::{Checkpoint, PartitionId, SensorName, Timestamp};
use thicket_store::postgres::{Applied, AppliedLabel, DetectorReset, NearRow, StoredReading, TimeFacts};

use crate::credit::Credit;

/// `Shard` → `Checkpointer`: asks for the history of a sensor. Retries until the stores answer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "History")]
pub struct Load {
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// Its configuration.
    pub config: Arc<NamedConfig>,
    /// Whether its checkpoint may be used. If not, the checkpoint is deleted, and the detector is
    /// rebuilt from rows.
    pub use_checkpoint: bool,
    /// Whether a later page than the first one has rows of another shape of the detector.
    pub is_reshaped: bool,
}

/// `Shard` → `Checkpointer`: asks for the rows that follow the first page of a [`History`]. Retries
/// until the database answers.
#[derive(Clone, Debug, Message)]
#[rtype(result = "HistoryPage")]
pub struct LoadRows {
    /// The sensor.
    pub sensor: SensorName,
    /// Its configuration.
    pub config: Arc<NamedConfig>,
    /// The place of the last row before the page.
    pub after: Applied,
}

/// `Shard` → `Checkpointer`: asks for the stored rows of a sensor near some times. Retries until the
/// database answers.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<NearRow>")]
pub struct LoadNear {
    /// The sensor.
    pub sensor: SensorName,
    /// The times.
    pub times: Vec<Timestamp>,
}

/// What the stores hold about a sensor: its checkpoint and the rows after it. If the shape of its
/// detector has changed since then, also the rows to rebuild the detector from.
///
/// The rows come in pages, so that the memory of a restore depends on the page and not on the
/// length of the history.
#[derive(Debug, Default)]
pub struct History {
    /// The newest checkpoint, if it is readable and has the present shape of the detector.
    pub checkpoint: Option<Checkpoint>,
    /// The last rows before the detector got its present shape, oldest first. The detector learns
    /// from them; their scores are not compared.
    pub rebuild_from: Vec<StoredReading>,
    /// The first scored, unscored and poison rows after the checkpoint and after `rebuild_from`,
    /// oldest first. They are replayed, and the scores must equal the stored scores. If there is a
    /// scored row, it is among them.
    pub replay: Vec<StoredReading>,
    /// The place after which more rows follow; `None` if `replay` has all rows.
    pub more_after: Option<Applied>,
    /// The configurations that the rows refer to, by their identity.
    pub configs: BTreeMap<u64, Arc<NamedConfig>>,
    /// The labels that the detector has applied, in the order of its readings.
    pub labels: Vec<AppliedLabel>,
    /// The time of the last row of another shape; `None` if the shape has not changed. The next
    /// commit ends the events that were open at that time.
    pub reshaped: Option<Timestamp>,
    /// The last time that the detector began again on request.
    pub reset: Option<DetectorReset>,
    /// The order of the sensor's readings in time.
    pub time: TimeFacts,
    /// Bounds the rows in memory, until they are replayed.
    pub credit: Credit,
}

/// Rows that follow the first page of a [`History`].
#[derive(Debug, Default)]
pub struct HistoryPage {
    /// The rows, oldest first.
    pub rows: Vec<StoredReading>,
    /// The place after which more rows follow; `None` if these are the last rows.
    pub more_after: Option<Applied>,
    /// The configurations that the rows refer to, by their identity.
    pub configs: BTreeMap<u64, Arc<NamedConfig>>,
    /// Whether a row is of another shape of the detector.
    pub is_reshaped: bool,
    /// Bounds the rows in memory, until they are replayed.
    pub credit: Credit,
}
