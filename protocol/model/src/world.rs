//! The state: broker, logs, tables and nodes.

use std::fmt;
use std::hash::{Hash, Hasher};

use thicket_protocol::log::Writer;
use thicket_protocol::progress::Progress;
use thicket_schema::Position;

use crate::setting::{Faults, Setting};

/// A reading: its number is its time, and what it measures. Counted from 1.
pub type Reading = u8;
/// The readings that were applied, in order, as octal digits: all that a state, and so a score, can depend on.
pub type History = u32;

/// Number of nodes.
pub const NODES: usize = 2;

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Where readings come from.
    pub broker: Broker,
    /// In Redis: one log for each partition, and what stands beside it.
    pub logs: Vec<Log>,
    /// In PostgreSQL: what is committed of each partition.
    pub tables: Vec<Table>,
    /// The processes.
    pub nodes: [Node; NODES],
    /// What may still go wrong.
    pub left: Faults,
    /// Names that processes have been given.
    pub nonces: u8,
    /// Takings over of a log, where the clock matters.
    pub clock: u64,
    /// What should never have happened.
    pub wrong: Option<&'static str>,
}

/// Delivers in order, and again what was not acknowledged when a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broker {
    /// The last reading of which the broker will not speak again.
    pub acknowledged: Reading,
    /// The last reading that was delivered on this connection.
    pub delivered: Reading,
    /// Who is connected.
    pub connected: Option<usize>,
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its place.
    pub at: Position,
    /// What it holds.
    pub reading: Reading,
    /// The entry before it, as its writer knew.
    pub predecessor: Position,
}

/// What Redis keeps of a log, and can forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    /// What is not trimmed.
    pub entries: Vec<Entry>,
    /// The place of the last entry there ever was.
    pub last: Position,
    /// Who may append.
    pub writer: Option<Writer<u8>>,
}

/// A request that has not reached Redis yet, though its sender does not wait for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LateAppend {
    /// The process that sent it.
    pub producer: u8,
    /// Its number.
    pub n: u64,
    /// The generation that its sender believed in.
    pub generation: u64,
    /// The entry's content.
    pub reading: Reading,
    /// The entry's predecessor.
    pub predecessor: Position,
}

/// A partition in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// The log.
    pub stored: Stored,
    /// What it was before each of the latest writes, where Redis may lose them.
    pub before: Vec<Stored>,
    /// Who may read it.
    pub lease: Option<usize>,
    /// The detector's state at a seq.
    pub checkpoint: Option<Detector>,
    /// What may still arrive.
    pub late: Option<LateAppend>,
    /// Every entry that there ever was: nobody but the properties knows.
    pub ever: Vec<(Reading, Position)>,
}

/// A row of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The reading.
    pub reading: Reading,
    /// What it scored; nothing if it came late.
    pub score: Option<History>,
    /// Where it stood. Not stored in production.
    pub at: Position,
}

/// A partition in PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    /// Raised by every takeover.
    pub epoch: i64,
    /// The commit point.
    pub position: Position,
    /// In the order that they were inserted.
    pub rows: Vec<Row>,
    /// Stretches of the log that are reported as lost: after the first, before the second.
    pub losses: Vec<(Position, Position)>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its name as a writer of logs, from its first taking over on.
    pub producer: Option<u8>,
    /// The newest generation of which something was committed when it started.
    pub newest_generation: u64,
    /// What it holds of each log's writing end.
    pub appenders: Vec<Option<Appender>>,
    /// The message it is about to append.
    pub pending: Option<Pending>,
    /// What it reads.
    pub shards: Vec<Shard>,
}

/// The writing end of a log, as its holder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appender {
    /// Its generation.
    pub generation: u64,
    /// The last number that is known to be in the log.
    pub n: u64,
    /// What the next entry names.
    pub predecessor: Position,
}

/// A message between broker and log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// What it holds.
    pub reading: Reading,
    /// Whether its connection is gone.
    pub stale: bool,
    /// Whether it is known to be in the log.
    pub appended: bool,
    /// How often it is in the log: nobody but the properties knows.
    pub placed: u8,
}

/// A detector's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detector {
    /// Count of readings applied.
    pub seq: u8,
    /// Which.
    pub history: History,
    /// The newest of them.
    pub newest: Reading,
}

impl Detector {
    /// Applies a reading and returns its score; nothing if it is not newer than the newest.
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

/// What one partition's reader knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The partition's lease was won, and its epoch is asked for.
    pub claiming: bool,
    /// How far it has come; nothing if the partition is not its own.
    pub progress: Option<Progress>,
    /// What the log was last asked for: under which epoch, after which entry.
    pub asked: Option<(i64, Position)>,
    /// The one sensor's detector.
    pub detector: Option<Detector>,
    /// What is scored and not taken up.
    pub scored: Option<Batch>,
    /// What is on its way to the tables, in order.
    pub commits: Vec<Batch>,
    /// A checkpoint that is on its way to Redis.
    pub saving: Option<Detector>,
}

/// The outcomes of a stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Under which epoch it was made.
    pub epoch: i64,
    /// What it builds on.
    pub from: Position,
    /// Where it leads.
    pub to: Position,
    /// Scored rows.
    pub scored: Vec<Row>,
    /// Readings that were not newer than the newest.
    pub offered: Vec<Row>,
    /// What was lost before one of its entries.
    pub losses: Vec<(Position, Position)>,
    /// The detector after it.
    pub after: Detector,
    /// Its rows are committed and its position is not: only where a rule is broken.
    pub left_behind: bool,
}

impl Node {
    /// A process that has just started.
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
    /// Two nodes, one of which is connected, and nothing delivered.
    pub fn new(setting: &Setting) -> Self {
        Self {
            broker: Broker { acknowledged: 0, delivered: 0, connected: Some(0) },
            logs: vec![Log::default(); setting.partitions],
            tables: vec![Table::default(); setting.partitions],
            nodes: [Node::new(setting.partitions, 0), Node::new(setting.partitions, 0)],
            left: setting.faults,
            nonces: 0,
            clock: 0,
            wrong: None,
        }
    }

    /// The partition of a reading.
    pub fn partition_of(&self, reading: Reading) -> usize {
        usize::from(reading - 1) % self.logs.len()
    }

    /// Hashes the world as it is, or with the nodes' numbers exchanged.
    pub fn hash_as(&self, exchanged: bool, hasher: &mut impl Hasher) {
        let renamed = |node: usize| if exchanged { NODES - 1 - node } else { node };
        let Self { broker, logs, tables, nodes, left, nonces, clock, wrong } = self;
        (broker.acknowledged, broker.delivered, broker.connected.map(renamed)).hash(hasher);
        for Log { stored, before, lease, checkpoint, late, ever } in logs {
            (stored, before, lease.map(renamed), checkpoint, late, ever).hash(hasher);
        }
        (0..NODES).for_each(|node| nodes[renamed(node)].hash(hasher));
        (tables, left, nonces, clock, wrong.is_some()).hash(hasher);
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
