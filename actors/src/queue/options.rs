//! The settings of the queue writer.

use std::time::Duration;

/// The settings of a queue writer.
#[derive(Clone, Debug)]
pub struct QueueWriterOptions {
    /// How long a flush waits for more messages.
    pub linger: Duration,
    /// Most records of one entry.
    pub max_records: usize,
    /// Most entries of a partition's log. Beyond it, messages stay unacknowledged with the broker.
    pub max_backlog: u64,
    /// The producer name of this process. No other process has it.
    pub producer: String,
    /// Number of partitions.
    pub partitions: u16,
    /// The newest committed generation: Redis may have lost it, and the clock may have been set back.
    pub newest_generation: u64,
}
