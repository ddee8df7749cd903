//! The settings of the queue writer.

use std::time::Duration;

/// The settings of a queue writer.
#[derive(Clone, Debug)]
pub struct QueueWriterOptions {
    /// How long a flush waits for more messages.
    pub linger: Duration,
    /// Maximum number of records of one entry.
    pub max_records: usize,
    /// Maximum number of entries of a partition's log. If the log is full, messages stay
    /// unacknowledged with the broker.
    pub max_backlog: u64,
    /// The producer id of this process, unique over all processes.
    pub producer: String,
    /// Number of partitions.
    pub partitions: u16,
}
