//! Writing a partition's log, trimming it, and noticing that some of it is gone.

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

/// What Redis answers to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Appended {
    /// The entry is in the log since just now.
    Now,
    /// The entry is in the log since an earlier try.
    Before,
    /// The log is at its bound.
    Full,
    /// Another writer has taken the log over.
    Fenced,
    /// Redis does not know this writer any more, or not in this generation, or fewer of its entries than it acknowledged.
    Lost,
}

impl Appended {
    /// The word for it of `queue/append.lua`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "ok",
            Self::Before => "already",
            Self::Full => "full",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
        }
    }

    /// What a word of `queue/append.lua` means.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Now, Self::Before, Self::Full, Self::Fenced, Self::Lost]
            .into_iter()
            .find(|appended| appended.name() == name)
    }
}

/// Whether an entry is appended to a log of `length` entries. `entry` is who is_unread it, in which generation, as its how-manieth. Decided by
/// `queue/append.lua`.
///
/// A process opens several generations if it must, and what it sent in one may arrive in the next: there the number alone would say nothing.
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

/// Whether a holder of the subscription may open a log: not if a later one has. Decided by `queue/open.lua`.
pub fn may_open(epoch_before: Option<u64>, ingress_epoch: u64) -> bool {
    epoch_before.is_none_or(|before| before <= ingress_epoch)
}

/// The generation of a writer that takes a log over. `before` is its predecessor's, `last` the place of the last entry there ever was. Decided
/// by `queue/open.lua`.
pub fn open(before: Option<u64>, last: Position, earliest: u64) -> u64 {
    earliest.max(before.unwrap_or(0) + 1).max(last.generation + 1)
}

/// The least generation that a new writer may take, whatever Redis has kept: after every one that is known from elsewhere.
pub fn earliest_generation(wall_ms: u64, committed: u64, acknowledged: Position) -> u64 {
    wall_ms.max(committed.max(acknowledged.generation) + 1)
}

/// What the first entry of a new writer names as its predecessor: the log's last entry, or a later one that was acknowledged and is gone.
pub fn predecessor(last: Position, acknowledged: Position) -> Position {
    last.max(acknowledged)
}

/// Whether entries are missing between the last one that was read and the next, which names its predecessor.
pub fn is_gap(last: Position, predecessor: Position) -> bool {
    predecessor != last
}

/// Whether a log has lost entries that are committed.
pub fn tail_is_lost(newest: Option<Position>, committed: Position) -> bool {
    committed > Position::default() && newest.is_none_or(|newest| newest < committed)
}

/// The first place that trimming leaves alone; nothing if there is nothing to trim.
pub fn keep_from(committed: Position) -> Option<Position> {
    (committed > Position::default()).then(|| committed.next())
}
