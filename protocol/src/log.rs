//! The log of a partition: appending, trimming, and noticing that entries are lost.

use thicket_schema::Position;

/// The writer of a log, as Redis has it stored or as an append names it. This is Kafka's idempotent
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
    /// Its name in the replies of `append.lua`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "ok",
            Self::Before => "already",
            Self::Full => "full",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
        }
    }

    /// The reply of `append.lua` with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Now, Self::Before, Self::Full, Self::Fenced, Self::Lost]
            .into_iter()
            .find(|appended| appended.name() == name)
    }
}

/// Decides whether an entry may be appended to a log of `length` entries. `entry` carries the producer,
/// generation and sequence number of the append. `append.lua` decides this inside Redis.
///
/// A process may open several generations, and an append of one may arrive in the next. There the sequence
/// number alone would mean another entry.
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

/// Whether an ingress may open a log: not if a later ingress has opened it. `open.lua` decides this inside
/// Redis.
pub fn may_open(epoch_before: Option<u64>, ingress_epoch: u64) -> bool {
    epoch_before.is_none_or(|before| before <= ingress_epoch)
}

/// The generation of a writer that takes a log over. `before` is the generation of the writer before it, `last`
/// the position of the last entry that the log ever had. `open.lua` decides this inside Redis.
pub fn open(before: Option<u64>, last: Position, earliest: u64) -> u64 {
    earliest.max(before.unwrap_or(0) + 1).max(last.generation + 1)
}

/// The least generation that a new writer may take, even if Redis has lost everything: greater than every known
/// generation.
pub fn earliest_generation(wall_ms: u64, committed: u64, acknowledged: Position) -> u64 {
    wall_ms.max(committed.max(acknowledged.generation) + 1)
}

/// The predecessor that the first entry of a new writer names: the last entry of the log, or a later one that
/// Redis had acknowledged and lost.
pub fn predecessor(last: Position, acknowledged: Position) -> Position {
    last.max(acknowledged)
}

/// Whether entries are missing between the last one that was read and the next one, which names its
/// `predecessor`.
pub fn is_gap(last: Position, predecessor: Position) -> bool {
    predecessor != last
}

/// Whether a log has lost committed entries.
pub fn tail_is_lost(newest: Option<Position>, committed: Position) -> bool {
    committed > Position::default() && newest.is_none_or(|newest| newest < committed)
}

/// The first position that trimming keeps; `None` if there is nothing to trim.
pub fn keep_from(committed: Position) -> Option<Position> {
    (committed > Position::default()).then(|| committed.next())
}
