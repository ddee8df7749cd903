//! The state of the model: broker, logs, tables and nodes.

use std::fmt;
use std::hash::{Hash, Hasher};

use thicket_protocol::log::Writer;
use thicket_protocol::progress::Progress;
use thicket_schema::Position;

use crate::setting::{Faults, Setting};

/// A reading. Its number, from 1, is its time and its value.
pub type Reading = u8;
/// The readings that a detector has applied, in order, as octal digits. A score is this sequence,
/// so it is right only if the whole history is right.
pub type History = u32;

/// Number of nodes.
pub const NODES: usize = 2;

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The source of the readings.
    pub broker: Broker,
    /// The partitions in Redis, each with its log, lease and checkpoint.
    pub logs: Vec<Log>,
    /// The partitions in PostgreSQL.
    pub tables: Vec<Table>,
    /// The nodes.
    pub nodes: [Node; NODES],
    /// The faults that may still happen.
    pub faults_left: Faults,
    /// Number of producer names that are in use; the next process takes the next number.
    pub producers: u8,
    /// The clock: advances when a log is opened, if Redis may lose entries.
    pub clock: u64,
    /// The violation that an event has noticed, if any.
    pub wrong: Option<&'static str>,
}

/// The MQTT broker. It delivers in order, and after a reconnect again from the first message that
/// is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broker {
    /// The last acknowledged reading.
    pub acknowledged: Reading,
    /// The last reading that was delivered on this connection.
    pub delivered: Reading,
    /// The node that is connected.
    pub connected: Option<usize>,
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its position.
    pub at: Position,
    /// Its content.
    pub reading: Reading,
    /// The entry before it, as its writer knew it.
    pub predecessor: Position,
}

/// The part of a log that Redis can forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The entries that are not trimmed.
    pub entries: Vec<Entry>,
    /// The position of the last entry that the log ever had.
    pub last: Position,
    /// The writer that may append.
    pub writer: Option<Writer<u8>>,
}

/// An append that its sender has given up as lost and that may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LateAppend {
    /// The process that sent it.
    pub producer: u8,
    /// Its sequence number.
    pub sequence: u64,
    /// The generation that its sender had opened.
    pub generation: u64,
    /// The entry's content.
    pub reading: Reading,
    /// The entry's predecessor.
    pub predecessor: Position,
}

/// A partition in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// Its stored state.
    pub stored: Stored,
    /// The states before each of the latest writes, newest first, if Redis may still lose writes.
    pub before: Vec<Stored>,
    /// The node that holds the lease.
    pub lease: Option<usize>,
    /// The stored checkpoint: the state of the detector.
    pub checkpoint: Option<Detector>,
    /// An append that may still arrive.
    pub late_append: Option<LateAppend>,
    /// Every entry that the log ever had. Only the properties read it.
    pub ever: Vec<(Reading, Position)>,
}

/// A row of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The reading.
    pub reading: Reading,
    /// Its score; `None` if it was late.
    pub score: Option<History>,
    /// Its position in the log. Production does not store it.
    pub at: Position,
}

/// A partition in PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    /// The fencing epoch: every claim raises it.
    pub epoch: i64,
    /// The committed position.
    pub position: Position,
    /// The rows, in the order of insertion.
    pub rows: Vec<Row>,
    /// Ranges of the log that are reported as lost: after the first position and before the second.
    pub losses: Vec<(Position, Position)>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its name as a writer of logs, from the first log that it opens.
    pub producer: Option<u8>,
    /// The newest generation with a committed entry when the process started.
    pub newest_generation: u64,
    /// Its appender for each log; `None` if it has not opened the log.
    pub appenders: Vec<Option<Appender>>,
    /// The message that it is about to append or acknowledge.
    pub pending: Option<Pending>,
    /// Its state as reader and owner, for each partition.
    pub shards: Vec<Shard>,
}

/// What a queue writer knows of a log that it has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appender {
    /// Its generation.
    pub generation: u64,
    /// The sequence number of the last entry that is known to be in the log.
    pub sequence: u64,
    /// The predecessor that the next entry names.
    pub predecessor: Position,
}

/// A message that is delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Its content.
    pub reading: Reading,
    /// Whether its connection is gone.
    pub stale: bool,
    /// Whether it is known to be in the log.
    pub appended: bool,
    /// Number of entries with it in the log. Only the properties read it.
    pub placed: u8,
}

/// The state of a detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detector {
    /// Number of applied readings.
    pub seq: u8,
    /// The applied readings.
    pub history: History,
    /// The newest applied reading.
    pub newest: Reading,
}

impl Detector {
    /// Applies a reading and returns its score, or `None` if the reading is not newer than the
    /// newest.
    pub fn apply(&mut self, reading: Reading) -> Option<History> {
        if reading <= self.newest {
            return None;
        }
        self.newest = reading;
        self.seq += 1;
        self.history = self.history * 8 + History::from(reading);
        Some(self.history)
    }
}

/// What a node knows of one partition as its reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Whether the node holds the lease and asks for an epoch.
    pub claiming: bool,
    /// How far the log is read and committed; `None` if the node does not own the partition.
    pub progress: Option<Progress>,
    /// The read that waits for a reply: its epoch, and the position after which it reads.
    pub read_request: Option<(i64, Position)>,
    /// The detector of the partition's only sensor.
    pub detector: Option<Detector>,
    /// The batch that is scored and not yet sent to the writer.
    pub scored: Option<Batch>,
    /// The batches at the writer, oldest first.
    pub commits: Vec<Batch>,
    /// A checkpoint that is being written to Redis.
    pub saving: Option<Detector>,
}

/// The outcomes of a range of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// The epoch of the owner that made it.
    pub epoch: i64,
    /// The position that it builds on.
    pub from: Position,
    /// The position that it leads to.
    pub to: Position,
    /// The rows of scored readings.
    pub scored: Vec<Row>,
    /// The rows of readings that were not newer than the newest.
    pub late: Vec<Row>,
    /// Ranges of the log that were lost within the batch.
    pub losses: Vec<(Position, Position)>,
    /// The detector after the batch.
    pub after: Detector,
    /// Whether its rows are committed and its position is not. Only if [`Rule::PositionWithRows`]
    /// is broken.
    ///
    /// [`Rule::PositionWithRows`]: crate::setting::Rule::PositionWithRows
    pub left_behind: bool,
}

impl Node {
    /// Creates a process that has just started.
    pub fn new(partitions: usize, newest_generation: u64) -> Self {
        Self {
            producer: None,
            newest_generation,
            appenders: vec![None; partitions],
            pending: None,
            shards: vec![Shard::default(); partitions],
        }
    }
}

impl World {
    /// Creates the first state: node 0 is connected, and no message is delivered.
    pub fn new(setting: &Setting) -> Self {
        Self {
            broker: Broker { acknowledged: 0, delivered: 0, connected: Some(0) },
            logs: vec![Log::default(); setting.partitions],
            tables: vec![Table::default(); setting.partitions],
            nodes: [Node::new(setting.partitions, 0), Node::new(setting.partitions, 0)],
            faults_left: setting.faults,
            producers: 0,
            clock: 0,
            wrong: None,
        }
    }

    /// Returns the partition of a reading.
    pub fn partition_of(&self, reading: Reading) -> usize {
        usize::from(reading - 1) % self.logs.len()
    }

    /// Hashes the world as it is, or with the numbers of the two nodes swapped.
    pub fn hash_nodes(&self, swapped: bool, hasher: &mut impl Hasher) {
        let renamed = |node: usize| if swapped { NODES - 1 - node } else { node };
        let Self { broker, logs, tables, nodes, faults_left, producers, clock, wrong } = self;
        (broker.acknowledged, broker.delivered, broker.connected.map(renamed)).hash(hasher);
        for Log { stored, before, lease, checkpoint, late_append, ever } in logs {
            (stored, before, lease.map(renamed), checkpoint, late_append, ever).hash(hasher);
        }
        (0..NODES).for_each(|node| nodes[renamed(node)].hash(hasher));
        (tables, faults_left, producers, clock, wrong.is_some()).hash(hasher);
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (log, table) in self.logs.iter().zip(&self.tables) {
            let entries: Vec<String> =
                log.stored.entries.iter().map(|entry| format!("{}:r{}", entry.at, entry.reading)).collect();
            let rows: Vec<String> = table.rows.iter().map(|row| format!("r{}", row.reading)).collect();
            let Table { epoch, position, .. } = table;
            write!(
                f,
                "[log {} | position {position} epoch {epoch} rows {}] ",
                entries.join(" "),
                rows.join(" ")
            )?;
        }
        write!(f, "acknowledged r{}", self.broker.acknowledged)
    }
}
