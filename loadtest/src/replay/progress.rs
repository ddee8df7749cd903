//! What others may watch while a replay runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counters of a running replay. All of them only grow; reading them costs nothing.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) published: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) event_time: AtomicI64,
    pub(super) connected: AtomicBool,
    pub(super) connects: AtomicU64,
    pub(super) live: AtomicBool,
}

impl Progress {
    /// Readings that the broker confirmed.
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Readings that were sent, confirmed or not; a repetition after a lost connection is not counted again.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Messages without meaning that the broker confirmed.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Relaxed)
    }

    /// Injected events all of whose readings were published.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Event time of the newest confirmed message, in µs since the Unix epoch; 0 before the first.
    pub fn event_time(&self) -> i64 {
        self.event_time.load(Relaxed)
    }

    /// Whether there is a connection to the broker.
    pub fn connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// How often a connection was made.
    pub fn connects(&self) -> u64 {
        self.connects.load(Relaxed)
    }

    /// Whether the history is done and readings go out as they happen.
    pub fn live(&self) -> bool {
        self.live.load(Relaxed)
    }
}
