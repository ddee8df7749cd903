//! The log of a partition: appending, trimming, and detecting that entries are lost.

use thicket_schema::Position;

/// The writer of a log, as stored in Redis or as named by an append. This is Kafka's idempotent
/// producer: producer id, epoch and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Writer<N> {
    /// The name of the process that appends.
    pub producer: N,
    /// The sequence number of its last entry, or of the entry to append.
    pub sequence: u64,
    /// The generation of that entry.
    pub generation: u64,
}

/// The reply of Redis to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Appended {
    /// The entry is in the log, from this append.
    Now,
    /// The entry is in the log, from an earlier try.
    Before,
    /// The log is full.
    Full,
    /// Another writer has taken the log over.
    Fenced,
    /// Redis has lost this writer, its generation, or entries that it had acknowledged.
    Lost,
}

impl Appended {
    /// Returns its name in the replies of `append.lua`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "ok",
            Self::Before => "already",
            Self::Full => "full",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
        }
    }

    /// Returns the reply of `append.lua` with this name, or `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Now, Self::Before, Self::Full, Self::Fenced, Self::Lost]
            .into_iter()
            .find(|appended| appended.name() == name)
    }
}

/// Decides whether an entry may be appended to a log of `length` entries. `entry` carries the
/// producer, generation and sequence number of the append. `append.lua` decides this inside Redis.
///
/// A process may open several generations, and an append of one generation may arrive in the next.
/// The same sequence number means another entry there, so the generations must match too.
pub fn append<N: PartialEq>(
    writer: Option<&Writer<N>>,
    length: u64,
    bound: u64,
    entry: &Writer<N>,
) -> Appended {
    match writer {
        None => Appended::Lost,
        Some(writer) if writer.producer != entry.producer => Appended::Fenced,
        Some(writer) if writer.generation != entry.generation => Appended::Lost,
        Some(writer) if entry.sequence <= writer.sequence => Appended::Before,
        Some(writer) if entry.sequence > writer.sequence + 1 => Appended::Lost,
        Some(_) if length >= bound => Appended::Full,
        Some(_) => Appended::Now,
    }
}

/// Returns whether an ingress may open a log: not if a later ingress has opened it. `open.lua`
/// decides this inside Redis.
pub fn may_open(epoch_before: Option<u64>, ingress_epoch: u64) -> bool {
    epoch_before.is_none_or(|before| before <= ingress_epoch)
}

/// Returns the generation of a writer that opens a log. `before` is the generation of the writer
/// before it. `last` is the position of the last entry that the log ever had. `open.lua` decides
/// this inside Redis.
pub fn open(before: Option<u64>, last: Position, earliest: u64) -> u64 {
    earliest.max(before.unwrap_or(0) + 1).max(last.generation + 1)
}

/// Returns the least generation that a new writer may take. It is greater than every known
/// generation, even if Redis has lost everything.
pub fn earliest_generation(wall_ms: u64, committed: u64, acknowledged: Position) -> u64 {
    wall_ms.max(committed.max(acknowledged.generation) + 1)
}

/// Returns the predecessor that the first entry of a new writer names: the last entry of the log,
/// or a later entry that Redis had acknowledged and lost.
pub fn predecessor(last: Position, acknowledged: Position) -> Position {
    last.max(acknowledged)
}

/// Returns whether entries are missing between the last entry that was read and the next entry,
/// which names its `predecessor`.
pub fn is_gap(last: Position, predecessor: Position) -> bool {
    predecessor != last
}

/// Returns whether a log has lost committed entries. `newest` is its newest entry.
pub fn tail_is_lost(newest: Option<Position>, committed: Position) -> bool {
    committed > Position::default() && newest.is_none_or(|newest| newest < committed)
}

/// Returns whether the writer of a log that has lost committed entries must open a new generation: its
/// own is before the committed position, so that no reader would ever see its entries. `trim.lua`
/// decides this inside Redis.
pub fn must_reopen(writer: Option<u64>, newest: Option<Position>, committed: Position) -> bool {
    tail_is_lost(newest, committed) && writer.is_some_and(|generation| generation < committed.generation)
}

/// Returns the first position that trimming keeps, or `None` if there is nothing to trim.
pub fn keep_from(committed: Position) -> Option<Position> {
    (committed > Position::default()).then(|| committed.next())
}
