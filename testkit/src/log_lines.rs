//! The texts of the engine's log that a test may wait for.
//!
//! A test prefers a view or a metric. Where the log is the only sign, the text is listed here, with
//! the file that prints it; `tests/log_lines.rs` checks that the file still has it.

/// A part of a line that the engine logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The text, without its fields.
    pub text: &'static str,
    /// The source file that prints it, from the root of the workspace. `None`: another program's
    /// text.
    pub source: Option<&'static str>,
}

impl LogLine {
    const fn of(text: &'static str, source: &'static str) -> Self {
        Self { text, source: Some(source) }
    }
}

/// The engine waits for PostgreSQL at its start.
pub const POSTGRES_AWAY: LogLine = LogLine::of("postgresql does not answer", "engine/src/topology.rs");
/// The engine waits for Redis at its start.
pub const REDIS_AWAY: LogLine = LogLine::of("redis does not answer", "store/src/redis/connection.rs");
/// The ingress connects to the broker again and again.
pub const BROKER_AWAY: LogLine = LogLine::of("no connection to the broker", "actors/src/source/session.rs");
/// A broker cannot be reached while the engine waits for its stores.
pub const BROKER_MISSING: LogLine = LogLine::of("the broker cannot be reached", "engine/src/brokers.rs");
/// Redis does not answer the questions of the engine.
pub const REDIS_SILENT: LogLine = LogLine::of("redis at ", "engine/src/stores_watch.rs");
/// The ingress is connected to a broker.
pub const CONNECTED: LogLine = LogLine::of("connected to the broker", "actors/src/source/session.rs");
/// Another client has the client id of the ingress.
pub const CLIENT_ID_CONFLICT: LogLine =
    LogLine::of("another client uses the same client id", "actors/src/source/session.rs");
/// The ingress waits for the lease of the subscription.
pub const SUBSCRIPTION_HELD: LogLine =
    LogLine::of("another node holds the subscription", "actors/src/source/session.rs");
/// Checkpoints make room for the log.
pub const REDIS_SHORT: LogLine = LogLine::of(
    "redis is short of memory for the log; evicting checkpoints",
    "actors/src/checkpoint/budget.rs",
);
/// An append is retried.
pub const APPEND_FAILED: LogLine = LogLine::of("append failed", "actors/src/queue/flush.rs");
/// The newest entries of a log are older than those that Redis acknowledged.
pub const ENTRIES_LOST: LogLine =
    LogLine::of("redis lost entries that it had acknowledged", "store/src/redis/append.rs");
/// PostgreSQL's own text for a commit to a database that is read-only.
pub const READ_ONLY: LogLine = LogLine { text: "read-only transaction", source: None };
/// A checkpoint is damaged.
pub const CHECKPOINT_UNREADABLE: LogLine =
    LogLine::of("the checkpoint cannot be read", "store/src/redis/checkpoints.rs");
/// A checkpoint has a state that does not reproduce the stored scores.
pub const CHECKPOINT_MISMATCH: LogLine = LogLine::of(
    "the checkpoint does not lead to the stored scores",
    "actors/src/shard/detector_pool/restore.rs",
);
/// A checkpoint has seen readings that are not stored.
pub const CHECKPOINT_AHEAD: LogLine =
    LogLine::of("the checkpoint is ahead of the stored rows", "actors/src/checkpoint/history.rs");
/// A changed configuration file is refused.
pub const CONFIGURATION_REFUSED: LogLine = LogLine::of("the old one stays in force", "engine/src/reload.rs");
/// A day of readings is older than the retention, but a detector still needs it.
pub const DAY_KEPT: LogLine = LogLine::of("cannot be restored without it", "engine/src/retention.rs");
/// A fail point made a commit or an append fail although it succeeded.
pub const REPLY_LOST: LogLine = LogLine::of("a reply that a test took away", "store/src/redis/append.rs");
/// Dead letters were stored.
pub const DEAD_LETTERS: LogLine =
    LogLine::of("messages became dead letters", "actors/src/writer/dead_letter_log.rs");
/// Rust's own text for a panic.
pub const PANIC: LogLine = LogLine { text: "panicked at", source: None };

/// Every line.
pub const ALL: [LogLine; 20] = [
    BROKER_MISSING,
    REDIS_SILENT,
    CONNECTED,
    REDIS_SHORT,
    POSTGRES_AWAY,
    REDIS_AWAY,
    BROKER_AWAY,
    CLIENT_ID_CONFLICT,
    SUBSCRIPTION_HELD,
    APPEND_FAILED,
    ENTRIES_LOST,
    READ_ONLY,
    CHECKPOINT_UNREADABLE,
    CHECKPOINT_MISMATCH,
    CHECKPOINT_AHEAD,
    CONFIGURATION_REFUSED,
    DAY_KEPT,
    REPLY_LOST,
    DEAD_LETTERS,
    PANIC,
];
