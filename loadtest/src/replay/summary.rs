//! The result of a replay.

/// The counts of a replay that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Readings that the broker confirmed. A reading that was published twice on purpose counts
    /// twice.
    pub published: u64,
    /// Malformed messages that the broker confirmed.
    pub malformed: u64,
    /// Injected events whose readings were all published.
    pub events: u64,
    /// Messages that were sent but not confirmed when the replay was stopped. They may or may not
    /// have reached the broker.
    pub unconfirmed: usize,
}
